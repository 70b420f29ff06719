"""Engines, commands and event rows for tests of the pure core; it holds no rule of its own."""

from typing import Any

from msgspec import structs

from exchange.commands import (
    AdvanceTime,
    ChangeMarket,
    Command,
    CreateAccount,
    CreateAsset,
    CreateMarket,
    Transfer,
)
from exchange.events import CommandRefused, Event, OrderAccepted, OrderCanceled, OrderRejected, TimeAdvanced
from exchange.markets import Market, MarketStatus
from exchange.orders import OrderType, PlaceOrder, SelfTradePrevention, Side, TimeInForce
from matching_service.engine import Copy, Engine, Refusal

SYMBOL = "BTC-USD"
TIME = 1_763_797_044_000_000


def market(**settings: Any) -> Market:
    """A market in which one lot is one base unit and costs one quote unit a tick, without fees."""
    values: dict[str, Any] = {
        "symbol": SYMBOL,
        "base": "BTC",
        "quote": "USD",
        "status": MarketStatus.OPEN,
        "tick_size": 10**16,
        "lot_size": 10**16,
        "min_notional": 0,
        "max_quantity": 10**9,
        "maker_fee_rate": 0,
        "taker_fee_rate": 0,
        "price_band": None,
        "cell": 1,
        "home_region": "local",
        "base_decimals": 2,
        "quote_decimals": 4,
    }
    return Market(**{**values, **settings})


class Desk:
    """An engine with one market and funded accounts, and short ways to ask it something."""

    def __init__(self, accounts: str = "alice bob carol", funds: int = 1_000_000, **settings: Any) -> None:
        self.engine = Engine(1)
        listed = market(**settings)
        self.do(CreateAsset("BTC", listed.base_decimals))
        self.do(CreateAsset("USD", listed.quote_decimals))
        self.do(CreateMarket(listed))
        for account in accounts.split():
            self.do(CreateAccount(f"create-{account}", account, account))
            for asset in ("BTC", "USD"):
                if funds:
                    self.do(Transfer("deposit", account, asset, funds, f"first-{asset}"))
        self.engine.take_changes()

    def do(self, command: Command) -> list[Event]:
        """Apply what the engine lets pass."""
        assert self.engine.examine(command) is None, (command, self.engine.examine(command))
        return self.engine.apply(command, max(self.engine.time, TIME))

    def advance_to(self, time: int) -> list[Event]:
        """Let what is due by then happen, as a leader does; the first event only says so."""
        assert self.engine.examine(AdvanceTime()) is None
        first, *events = self.engine.apply(AdvanceTime(), time)
        assert first == TimeAdvanced()
        return events

    def change(self, **settings: Any) -> list[Event]:
        """Change the market."""
        return self.do(ChangeMarket("", SYMBOL, **settings))

    def refused(self, command: Command) -> Copy | Refusal | None:
        """What `examine` says; it must change nothing."""
        before = dict(self.engine.state_records())
        answer = self.engine.examine(command)
        assert dict(self.engine.state_records()) == before
        return answer

    def balance(self, account: str, asset: str) -> tuple[int, int]:
        """Available and held."""
        found = [b for b in self.engine.snapshot().balances if (b.account_id, b.asset) == (account, asset)]
        return (found[0].available, found[0].held) if found else (0, 0)

    def open_orders(self) -> list[str]:
        """The ids of the open orders, oldest first."""
        return [record.placed.order_id for record, _ in self.engine.snapshot().orders]


def limit(
    order_id: str, account: str, side: Side, lots: int, at: int, tif: TimeInForce = TimeInForce.GTC, **more: Any
) -> PlaceOrder:
    """A limit order."""
    return PlaceOrder(order_id, account, order_id, SYMBOL, side, OrderType.LIMIT, lots, at, tif, **more)


def buy(order_id: str, account: str, lots: int, at: int, tif: TimeInForce = TimeInForce.GTC, **more: Any) -> PlaceOrder:
    """A limit order to buy."""
    return limit(order_id, account, Side.BUY, lots, at, tif, **more)


def sell(
    order_id: str, account: str, lots: int, at: int, tif: TimeInForce = TimeInForce.GTC, **more: Any
) -> PlaceOrder:
    """A limit order to sell."""
    return limit(order_id, account, Side.SELL, lots, at, tif, **more)


def at_market(
    order_id: str,
    account: str,
    side: Side,
    lots: int | None = None,
    tif: TimeInForce = TimeInForce.IOC,
    quote: int | None = None,
    mode: SelfTradePrevention = SelfTradePrevention.CANCEL_NEWEST,
) -> PlaceOrder:
    """A market order, by quantity or by quote quantity."""
    options: dict[str, Any] = {"quote_quantity": quote, "self_trade_prevention": mode}
    return PlaceOrder(order_id, account, order_id, SYMBOL, side, OrderType.MARKET, lots, None, tif, **options)


def stop(
    order_id: str,
    account: str,
    side: Side,
    lots: int,
    stop_price: int,
    at: int | None = None,
    kind: OrderType | None = None,
    tif: TimeInForce = TimeInForce.GTC,
    **more: Any,
) -> PlaceOrder:
    """An order that waits for a stop price: a stop, with a price a stop_limit, or what `kind` says."""
    kind = kind or (OrderType.STOP if at is None else OrderType.STOP_LIMIT)
    more["stop_price_ticks"] = stop_price
    return PlaceOrder(order_id, account, order_id, SYMBOL, side, kind, lots, at, tif, **more)


def trailing(order_id: str, account: str, side: Side, lots: int, delta: int) -> PlaceOrder:
    """A trailing stop."""
    wish = (OrderType.TRAILING_STOP, lots, None, TimeInForce.GTC)
    return PlaceOrder(order_id, account, order_id, SYMBOL, side, *wish, trailing_delta_ticks=delta)


def row(event: Event) -> tuple[Any, ...]:
    """An event as its name and its fields; of a refusal the code is enough."""
    name = type(event).__name__
    return (name, event.code) if isinstance(event, CommandRefused) else (name, *structs.astuple(event))


def rows(events: list[Event]) -> list[tuple[Any, ...]]:
    """Events as rows."""
    return [row(event) for event in events]


def accepted(
    order_id: str, account: str, side: Side, price: int | None, resting: int, available: int, held: int
) -> OrderAccepted:
    """An order was taken."""
    return OrderAccepted(order_id, account, SYMBOL, side, price, resting, available, held)


def rejected(order_id: str, account: str, code: str) -> OrderRejected:
    """An order was refused."""
    return OrderRejected(order_id, account, SYMBOL, code)


def canceled(
    order_id: str,
    account: str,
    side: Side,
    price: int | None,
    remaining: int | None,
    rested: int,
    reason: str,
    balance: tuple[int, int],
) -> OrderCanceled:
    """An order was canceled; `balance` is available and held."""
    return OrderCanceled(order_id, account, SYMBOL, side, price, remaining, rested, reason, *balance)


def kinds(events: list[Event]) -> list[str]:
    """The names of the events."""
    return [type(event).__name__ for event in events]


def reason_of(events: list[Event]) -> str:
    """Why the order of these events was canceled."""
    last = events[-1]
    assert isinstance(last, OrderCanceled)
    return last.reason
