"""What the simulated database holds: lease, fence, journal, and the rows that follow from it; it keeps no time."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from exchange import commands
from exchange.commands import Journaled
from exchange.events import Trade
from exchange.markets import Market
from exchange.orders import OrderRecord, PlaceOrder, Side
from matching_service.engine import Engine
from matching_service.journal import JournalRow

CELL = 1
Row = tuple[Any, ...]


@dataclass(slots=True)
class Lease:
    """Who leads, until when by the database's clock in microseconds."""

    holder: str
    endpoint: str
    expires: int


@dataclass(slots=True)
class Tables:
    """The committed state of one cell; its orders and fills are made by applying each batch again."""

    lease: Lease | None = None
    epoch: int = 1
    last_sequence: int = 0
    journal: list[JournalRow] = field(default_factory=list)
    engine: Engine = field(default_factory=lambda: Engine(CELL))
    placed: dict[str, tuple[PlaceOrder, int]] = field(default_factory=dict)
    orders: dict[str, OrderRecord] = field(default_factory=dict)
    fills: dict[tuple[str, int], list[Row]] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    def add(self, row: JournalRow) -> None:
        """Commit a batch that the fence let pass; one that cannot be applied again is a problem."""
        self.journal.append(row)
        try:
            self._apply(row)
        except (AssertionError, LookupError) as error:
            self.problems.append(f"I14: batch {row.first_sequence} of epoch {row.epoch} cannot be applied: {error!r}")

    def _apply(self, row: JournalRow) -> None:
        self.last_sequence = row.last_sequence
        for entry in row.journaled():
            apply = self.engine.apply_poisoned if entry.poisoned else self.engine.apply
            events = apply(entry.command, entry.time)
            if isinstance(entry.command, PlaceOrder):
                self.placed[entry.command.order_id] = entry.command, entry.sequence
            for index, event in enumerate(events, 1):
                if isinstance(event, Trade):
                    self._note_fills(entry, index, event)
        for order in self.engine.take_changes().orders:
            self.orders[order.placed.order_id] = order.record()

    def order_row(self, order_id: str) -> Row | None:
        """Return the row of an order, its fingerprint last."""
        record = self.orders.get(order_id)
        if record is None:
            return None
        market = self.engine.market(record.placed.symbol)
        return (*row_of_order(record, market), commands.fingerprint(self.placed[order_id][0]))

    def _note_fills(self, entry: Journaled, index: int, trade: Trade) -> None:
        for order_id, row in fill_rows(entry, index, trade, self.engine.market(trade.symbol)):
            self.fills.setdefault((order_id, entry.sequence), []).append(row)


def row_of_order(record: OrderRecord, market: Market) -> Row:
    """Return the columns of an order as the table has them: what `order_from_row` reads."""
    placed = record.placed
    return (
        placed.order_id, placed.account_id, placed.client_order_id, placed.symbol, placed.side, placed.type,
        _lots(placed.quantity_lots, market), _units(placed.quote_quantity, market.quote_decimals),
        _ticks(placed.price_ticks, market), _ticks(placed.stop_price_ticks, market),
        _ticks(placed.trailing_delta_ticks, market), placed.time_in_force, placed.expire_time, placed.post_only,
        _lots(placed.display_lots, market), placed.self_trade_prevention, placed.queue_deadline_ms, record.status,
        _lots(record.filled_lots, market), _lots(record.remaining_lots, market),
        _units(record.filled_quote, market.quote_decimals), _units(record.fee_base, market.base_decimals),
        _units(record.fee_quote, market.quote_decimals), record.reason, record.first_sequence, record.sequence,
        record.created_time, record.updated_time, _lots(record.displayed_lots, market),
        _ticks(record.trigger_ticks, market), record.partner_id, _lots(record.prevented_lots, market),
    )  # fmt: skip


def fill_rows(entry: Journaled, index: int, trade: Trade, market: Market) -> Iterator[tuple[str, Row]]:
    """Yield both sides of a trade, each with its order: what `fill_from_row` reads."""
    maker_side = Side.SELL if trade.taker_side is Side.BUY else Side.BUY
    sides = (
        ("maker", trade.maker_order_id, trade.maker_account_id, maker_side, trade.maker_fee),
        ("taker", trade.taker_order_id, trade.taker_account_id, trade.taker_side, trade.taker_fee),
    )
    for liquidity, order_id, account_id, side, fee in sides:
        asset, decimals = (
            (market.base, market.base_decimals) if side is Side.BUY else (market.quote, market.quote_decimals)
        )
        yield (
            order_id,
            (
                CELL, entry.sequence, index, order_id, account_id, market.symbol, side,
                _ticks(trade.price_ticks, market), _lots(trade.quantity_lots, market),
                _units(trade.quote, market.quote_decimals), _units(fee, decimals), asset, liquidity, entry.time,
                trade.is_auction,
            ),
        )  # fmt: skip


def _units(units: int | None, decimals: int) -> Decimal | None:
    return None if units is None else Decimal(units).scaleb(-decimals)


def _ticks(ticks: int | None, market: Market) -> Decimal | None:
    return None if ticks is None else _units(ticks * market.tick_step, market.price_decimals)


def _lots(lots: int | None, market: Market) -> Decimal | None:
    return None if lots is None else _units(lots * market.lot_step, market.quantity_decimals)
