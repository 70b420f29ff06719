"""A batch as rows of the tables, written as array literals of composite values for `commit_batch`; it runs no query.

Ready-made text is what makes a batch cheap: psycopg2 takes several times longer to adapt lists of values.
"""

from collections.abc import Callable, Iterable

from msgspec import Struct

from exchange.commands import AmendOrder, Journaled, PlacePair, fingerprint
from exchange.events import Event, Trade
from exchange.markets import Asset, Market
from exchange.orders import PlaceOrder, Side
from matching_service.accounts import Balance, FeeVolume
from matching_service.book import Order
from matching_service.rare_rows import RareRows
from matching_service.state import Changes


class TableRows(Struct, frozen=True):
    """The rows of one batch: array literals of the types in the migrations, and JSON for what is rare."""

    entered_orders: str
    changed_orders: str
    trades: str
    balances: str
    details: str = "{}"
    volumes: str = "{}"
    rare: str | None = None


class Scale(Struct, frozen=True):
    """How the integers of one market are written as exact decimals: a factor, and the exponent behind it."""

    base: str
    quote: str
    tick_step: int
    price: str
    lot_step: int
    quantity: str
    base_per_lot: int
    base_units: str
    quote_units: str


def scale_of(market: Market) -> Scale:
    """Return the scale of a market, whose steps and assets never change."""
    return Scale(
        base=market.base,
        quote=market.quote,
        tick_step=market.tick_step,
        price=f"e-{market.price_decimals}",
        lot_step=market.lot_step,
        quantity=f"e-{market.quantity_decimals}",
        base_per_lot=market.base_units_per_lot,
        base_units=f"e-{market.base_decimals}",
        quote_units=f"e-{market.quote_decimals}",
    )


class RowWriter:
    """Writes the rows of the batches of one engine."""

    def __init__(self, market: Callable[[str], Market], asset: Callable[[str], Asset]) -> None:
        self.market = market
        self.asset = asset
        self.rare = RareRows(asset)
        self.scales: dict[str, Scale] = {}
        self.units: dict[str, str] = {}

    def rows_of(self, journaled: list[Journaled], batch_events: list[list[Event]], changes: Changes) -> TableRows:
        """Return every row that a batch writes beside the journal's."""
        first_sequence = journaled[0].sequence
        entered = [order for order in changes.orders if order.first_sequence >= first_sequence]
        changed = [order for order in changes.orders if order.first_sequence < first_sequence]
        amended = {entry.command.order_id for entry in journaled if type(entry.command) is AmendOrder}
        asked = _asked(journaled) if amended else {}
        return TableRows(
            entered_orders=_array(
                self._entered(order, asked.get(order.placed.order_id, order.placed)) for order in entered
            ),
            changed_orders=_array(map(self._changed, changed)),
            trades=_array(self._trades(journaled, batch_events)),
            balances=_array(map(self._balance, changes.balances)),
            details=_array(
                self._details(order)
                for order in changes.orders
                if _has_details(order) or order.placed.order_id in amended
            ),
            volumes=_array(self._volume(volume) for volume in changes.fee_volumes if volume.quote),
            rare=self.rare.rows_of(journaled, batch_events, changes),
        )

    def _entered(self, order: Order, asked: PlaceOrder) -> str:
        """Return the whole row of an order that this batch entered as it was `asked` for, as `new_order`."""
        placed = order.placed
        scale = self._scale(placed.symbol)
        tick, price, lot, quantity = scale.tick_step, scale.price, scale.lot_step, scale.quantity
        return (
            f"{placed.order_id},{placed.account_id},{placed.client_order_id},{placed.symbol},{placed.side},"
            f"{placed.type},{_scaled(placed.quantity_lots, lot, quantity)},"
            f"{_scaled(placed.quote_quantity, 1, scale.quote_units)},{_scaled(placed.price_ticks, tick, price)},"
            f"{_scaled(placed.stop_price_ticks, tick, price)},{_scaled(placed.trailing_delta_ticks, tick, price)},"
            f"{placed.time_in_force},{_or_null(placed.expire_time)},{placed.post_only},"
            f"{_scaled(placed.display_lots, lot, quantity)},{placed.self_trade_prevention},"
            f"{_or_null(placed.queue_deadline_ms)},{fingerprint(asked).hex()},{_progress(order, scale)},"
            f"{order.reason or ''},{order.first_sequence},{order.priority_sequence},{order.sequence},"
            f"{order.created_time},{order.updated_time}"
        )

    def _changed(self, order: Order) -> str:
        """Return what can change of an order that an earlier batch entered, as `changed_order`."""
        placed = order.placed
        return (
            f"{placed.order_id},{_progress(order, self._scale(placed.symbol))},{order.reason or ''},"
            f"{order.priority_sequence},{order.sequence},{order.updated_time}"
        )

    def _details(self, order: Order) -> str:
        """Return what only some orders have, and what an amend may have changed, as `order_detail`."""
        placed = order.placed
        scale = self._scale(placed.symbol)
        tick, price, lot, quantity = scale.tick_step, scale.price, scale.lot_step, scale.quantity
        return (
            f"{placed.order_id},{_scaled(placed.quantity_lots, lot, quantity)},"
            f"{_scaled(placed.price_ticks, tick, price)},{_scaled(order.displayed_lots, lot, quantity)},"
            f"{_scaled(order.trigger_ticks, tick, price)},{order.partner_id or ''},"
            f"{_scaled(order.prevented_lots, lot, quantity)}"
        )

    def _balance(self, balance: Balance) -> str:
        """Return a balance as `changed_balance`."""
        units = self.units.get(balance.asset)
        if units is None:
            units = self.units[balance.asset] = f"e-{self.asset(balance.asset).decimals}"
        return f"{balance.account_id},{balance.asset},{balance.available}{units},{balance.held}{units}"

    def _volume(self, volume: FeeVolume) -> str:
        """Return what an account traded on a day as `changed_volume`."""
        units = self._scale(volume.symbol).quote_units
        return f"{volume.account_id},{volume.symbol},{volume.day},{volume.quote}{units}"

    def _trades(self, journaled: list[Journaled], batch_events: list[list[Event]]) -> Iterable[str]:
        for entry, events in zip(journaled, batch_events, strict=True):
            if len(events) < 2:
                continue
            for index, event in enumerate(events, 1):
                if type(event) is Trade:
                    yield _trade(entry, index, event, self._scale(event.symbol))

    def _scale(self, symbol: str) -> Scale:
        scale = self.scales.get(symbol)
        if scale is None:
            scale = self.scales[symbol] = scale_of(self.market(symbol))
        return scale


def _has_details(order: Order) -> bool:
    """Say whether an order has, or had, anything that plain ones have not."""
    placed = order.placed
    return (
        order.prevented_lots > 0
        or order.partner_id is not None
        or placed.display_lots is not None
        or placed.stop_price_ticks is not None
        or placed.trailing_delta_ticks is not None
    )


def _asked(journaled: list[Journaled]) -> dict[str, PlaceOrder]:
    """Return the orders that these commands entered, as they were asked for, by id."""
    found: dict[str, PlaceOrder] = {}
    for entry in journaled:
        command = entry.command
        if isinstance(command, PlaceOrder):
            found[command.order_id] = command
        elif isinstance(command, PlacePair):
            found[command.first.order_id] = command.first
            found[command.second.order_id] = command.second
    return found


def _or_null(number: int | None) -> str:
    return "" if number is None else str(number)


def _scaled(number: int | None, step: int, exponent: str) -> str:
    return "" if number is None else f"{number * step}{exponent}"


def _progress(order: Order, scale: Scale) -> str:
    """Return what was filled and what remains; a fee is charged in the asset received, a rebate paid in the other."""
    lot, quantity, base, quote = scale.lot_step, scale.quantity, scale.base_units, scale.quote_units
    remaining = "" if order.placed.quantity_lots is None else f"{order.remaining_lots * lot}{quantity}"
    fee, rebate = order.fee, -order.rebate
    fees = f"{fee}{base},{rebate}{quote}" if order.placed.side is Side.BUY else f"{rebate}{base},{fee}{quote}"
    return f"{order.status},{order.filled_lots * lot}{quantity},{remaining},{order.filled_quote}{quote},{fees}"


def _array(composites: Iterable[str]) -> str:
    """Join composites whose fields need no quoting: ids, enums and numbers, by the forms that the edge admits."""
    joined = ')","('.join(composites)
    return f'{{"({joined})"}}' if joined else "{}"


def _trade(entry: Journaled, index: int, trade: Trade, scale: Scale) -> str:
    """Return a trade as `traded`; a maker's rebate is in the asset of the taker's fee."""
    base, quote = scale.base_units, scale.quote_units
    maker_fee, taker_fee = (quote, base) if trade.taker_side is Side.BUY else (base, quote)
    if trade.maker_fee < 0:
        maker_fee = taker_fee
    return (
        f"{entry.sequence},{index},{entry.time},{trade.symbol},{scale.base},{scale.quote},{trade.taker_side},"
        f"{trade.maker_order_id},{trade.maker_account_id},{trade.taker_order_id},{trade.taker_account_id},"
        f"{trade.price_ticks * scale.tick_step}{scale.price},{trade.quantity_lots * scale.base_per_lot}{base},"
        f"{trade.quote}{quote},{trade.quantity_lots * scale.lot_step}{scale.quantity},"
        f"{trade.maker_fee}{maker_fee},{trade.taker_fee}{taker_fee},"
        f"{trade.maker_base_available + trade.maker_base_held}{base},"
        f"{trade.maker_quote_available + trade.maker_quote_held}{quote},"
        f"{trade.taker_base_available + trade.taker_base_held}{base},"
        f"{trade.taker_quote_available + trade.taker_quote_held}{quote},"
        f"{trade.fees_base_available}{base},{trade.fees_quote_available}{quote},{trade.is_auction}"
    )
