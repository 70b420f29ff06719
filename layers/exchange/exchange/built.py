"""What of the contract the engine cannot do yet; it holds no rule, and shrinks to nothing."""

from exchange.commands import AmendOrder, Command, PlacePair
from exchange.forms import not_built
from exchange.orders import OrderType, PlaceOrder, SelfTradePrevention, TimeInForce

LATER_COMMANDS = (AmendOrder, PlacePair)
BUILT_TYPES = (OrderType.LIMIT, OrderType.MARKET)
BUILT_TIMES = (TimeInForce.GTC, TimeInForce.IOC, TimeInForce.FOK)


def check_built(command: Command) -> None:
    """Raise `Rejected` 501 for a well-formed command that comes later, naming what of it does."""
    if isinstance(command, LATER_COMMANDS):
        raise not_built()
    if isinstance(command, PlaceOrder) and (later := _later_of_order(command)):
        raise not_built(*later)


def _later_of_order(order: PlaceOrder) -> list[str]:
    later = []
    if order.type not in BUILT_TYPES:
        later.append("type")
    if order.time_in_force not in BUILT_TIMES:
        later.append("time_in_force")
    if order.display_lots is not None:
        later.append("display_quantity")
    if order.self_trade_prevention is not SelfTradePrevention.CANCEL_NEWEST:
        later.append("self_trade_prevention")
    return later
