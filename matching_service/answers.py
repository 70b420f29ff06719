"""Answers to commands: from their events, or from the tables where a command was applied before; it changes nothing."""

from collections import Counter
from collections.abc import Callable, Iterator

from msgspec import Struct, structs
from psycopg2.extensions import connection as Connection

from exchange import commands
from exchange.commands import AmendOrder, CancelOrder, Command, PlacePair, Transfer
from exchange.errors import DETAIL_OF_CODE
from exchange.events import CommandRefused, Event, OrderCanceled, OrderReplenished, Trade
from exchange.markets import Market
from exchange.orders import FillRecord, Liquidity, OrderRecord, OrderStatus, PlaceOrder, Side
from exchange.stores.rows import FILL_COLUMNS, FILL_SYMBOL, ORDER_COLUMNS, ORDER_SYMBOL, fill_from_row, order_from_row
from exchange.wire import Answer
from matching_service import journal
from matching_service.database import rows

MOST_FILLS = 1000
MOST_EVENTS = 500
"""How many events of one kind an answer tells; no number of others takes the place of the one that an edge reads."""
UNTOLD = (Trade, OrderReplenished)
"""What an uncrossing has a thousand of, and nobody asks for by an answer's events."""


class Tables(Struct):
    """What answering from the tables needs: a connection of its own and the market of a symbol."""

    connection: Connection
    cell: int
    market: Callable[[str], Market]


def prepared(connection: Connection) -> Connection:
    """Prepare the one look-up that every new order needs."""
    rows(
        connection,
        "PREPARE known_orders(text[]) AS SELECT order_id, first_sequence FROM orders WHERE order_id = ANY($1)",
    )
    return connection


def order_answer(cell: int, order: OrderRecord, events: list[Event], market: Market) -> Answer:
    """Answer a `PlaceOrder` just applied."""
    if order.status is OrderStatus.REJECTED:
        assert order.reason is not None
        return _refused(order.reason, order)
    return Answer(
        sequence=order.sequence,
        time=order.updated_time,
        order=order,
        fills=list(fills_of(cell, order, events, market))[:MOST_FILLS],
    )


def pair_answer(cell: int, legs: tuple[OrderRecord, OrderRecord], events: list[Event], market: Market) -> Answer:
    """Answer a `PlacePair` just applied: both orders were taken, or both refused for the same reason."""
    first, second = legs
    code = first.reason if first.status is OrderStatus.REJECTED else None
    fills = (fill for leg in legs for fill in fills_of(cell, leg, events, market))
    return Answer(
        sequence=first.sequence,
        time=first.updated_time,
        code=code,
        detail=DETAIL_OF_CODE[code] if code else "",
        order=first,
        fills=sorted(fills, key=_index)[:MOST_FILLS],
        partner=second,
    )


def amend_answer(cell: int, command: AmendOrder, order: OrderRecord, events: list[Event], market: Market) -> Answer:
    """Answer an `AmendOrder` just applied, which was not refused: the order with what it traded by it."""
    answer = events_answer(order.sequence, order.updated_time, command, events, order)
    return structs.replace(answer, fills=list(fills_of(cell, order, events, market))[:MOST_FILLS])


def fills_of(cell: int, order: OrderRecord, events: list[Event], market: Market) -> Iterator[FillRecord]:
    """Yield the order's share of each trade of the command that changed it last, which made `events`."""
    order_id = order.placed.order_id
    for index, event in enumerate(events, 1):
        if type(event) is Trade:
            if event.taker_order_id == order_id:
                yield _fill(cell, order, index, event, market, Liquidity.TAKER)
            elif event.maker_order_id == order_id:
                yield _fill(cell, order, index, event, market, Liquidity.MAKER)


def _index(fill: FillRecord) -> int:
    return fill.index


def _fill(cell: int, order: OrderRecord, index: int, trade: Trade, market: Market, liquidity: Liquidity) -> FillRecord:
    """Return one side's share: a fee is in the asset received, a rebate in the one that the taker pays its fee in."""
    side, fee = order.placed.side, trade.taker_fee if liquidity is Liquidity.TAKER else trade.maker_fee
    charged = trade.taker_side if fee < 0 else side
    return FillRecord(
        cell=cell,
        sequence=order.sequence,
        index=index,
        order_id=order.placed.order_id,
        account_id=order.placed.account_id,
        symbol=trade.symbol,
        side=side,
        price_ticks=trade.price_ticks,
        quantity_lots=trade.quantity_lots,
        quote=trade.quote,
        fee=fee,
        fee_asset=market.base if charged is Side.BUY else market.quote,
        liquidity=Liquidity.TAKER if trade.is_auction else liquidity,
        time=order.updated_time,
    )


def events_answer(
    sequence: int, time: int, command: Command, events: list[Event], order: OrderRecord | None = None
) -> Answer:
    """Answer any other command from its events; a cancel carries its `order`."""
    first = events[0] if events else None
    if isinstance(first, CommandRefused):
        return Answer(sequence=sequence, time=time, code=first.code, detail=first.detail, field=first.field)
    return Answer(
        sequence=sequence,
        time=time,
        order=order,
        command=command,
        events=list(_told(events)),
        canceled=sum(type(event) is OrderCanceled for event in events),
    )


def _told(events: list[Event]) -> Iterator[Event]:
    told = Counter[type[Event]]()
    for event in events:
        kind = type(event)
        if kind not in UNTOLD and told[kind] < MOST_EVENTS:
            told[kind] += 1
            yield event


def known_sequences(tables: Tables, searched: list[Command]) -> dict[str, int]:
    """Look up in one statement which orders and transfers the tables hold already: their key and sequence."""
    order_ids = [key for command in searched if not isinstance(command, Transfer) for key in keys_of(command)]
    transfers = [command for command in searched if isinstance(command, Transfer)]
    if not transfers:
        return dict(rows(tables.connection, "EXECUTE known_orders(%s)", (f"{{{','.join(order_ids)}}}",)))
    found = rows(
        tables.connection,
        "SELECT order_id, first_sequence FROM orders WHERE order_id = ANY(%s)"
        " UNION ALL SELECT t.kind || '/' || t.account_id || '/' || t.reference, t.sequence FROM transfers t"
        " JOIN unnest(%s::text[], %s::text[], %s::text[]) AS s(account_id, kind, reference)"
        " USING (account_id, kind, reference) WHERE t.cell = %s",
        (
            order_ids,
            [transfer.account_id for transfer in transfers],
            [transfer.kind for transfer in transfers],
            [transfer.reference for transfer in transfers],
            tables.cell,
        ),
    )
    return dict(found)


def keys_of(command: Command) -> tuple[str, ...]:
    """Return the ids under which a command is remembered for ever: two of a pair, none of most."""
    if isinstance(command, PlaceOrder):
        return (command.order_id,)
    if isinstance(command, Transfer):
        return (f"{command.kind}/{command.account_id}/{command.reference}",)
    if isinstance(command, PlacePair):
        return (command.first.order_id, command.second.order_id)
    return ()


def copy_answer(tables: Tables, command: Command, sequence: int) -> Answer:
    """Answer a command that was applied before, at `sequence`, as it was answered then."""
    if isinstance(command, PlaceOrder):
        return _order_copy(tables, command)
    if isinstance(command, PlacePair):
        return _pair_copy(tables, command)
    row = journal.row_holding(tables.connection, tables.cell, sequence)
    assert row is not None, f"the journal does not hold sequence {sequence}"
    place = sequence - row.first_sequence
    first, events = row.journaled()[place], row.events()[place]
    if not getattr(command, "request_id", "") and first.command != command:
        return _mismatch("admin.duplicate_mismatch")
    answer = events_answer(sequence, first.time, first.command, events)
    if isinstance(command, CancelOrder | AmendOrder):
        if answer.code == "order.not_cancelable":
            return refused_change(tables, command, sequence, replayed=True)
        order = _order(tables, command.order_id, command.account_id)
        answer = structs.replace(answer, order=order, fills=_fills(tables, command.order_id, sequence))
    return structs.replace(answer, replayed=True)


def refused_change(tables: Tables, command: CancelOrder | AmendOrder, sequence: int, replayed: bool = False) -> Answer:
    """Tell an order that was done at `sequence` from one that was not there, or another account's."""
    order = _order(tables, command.order_id, command.account_id)
    code = "order.not_cancelable" if order and order.first_sequence < sequence else "resource.not_found"
    return Answer(sequence=sequence, code=code, detail=DETAIL_OF_CODE[code], replayed=replayed)


def _order_copy(tables: Tables, command: PlaceOrder) -> Answer:
    order = _copied(tables, command)
    if order is None or order.partner_id is not None:
        return _mismatch("order.duplicate_mismatch")
    if order.status is OrderStatus.REJECTED:
        assert order.reason is not None
        return _refused(order.reason, order, replayed=True)
    return Answer(
        sequence=order.sequence,
        time=order.updated_time,
        replayed=True,
        order=order,
        fills=_fills(tables, command.order_id, order.first_sequence),
    )


def _pair_copy(tables: Tables, command: PlacePair) -> Answer:
    """Answer a copy of a pair; two orders entered by the same command are one."""
    first, second = _copied(tables, command.first), _copied(tables, command.second)
    if first is None or second is None or first.first_sequence != second.first_sequence:
        return _mismatch("order.duplicate_mismatch")
    fills = [fill for leg in (first, second) for fill in _fills(tables, leg.placed.order_id, leg.first_sequence)]
    answer = pair_answer(tables.cell, (first, second), [], tables.market(first.placed.symbol))
    return structs.replace(answer, replayed=True, fills=sorted(fills, key=_index)[:MOST_FILLS])


def _copied(tables: Tables, command: PlaceOrder) -> OrderRecord | None:
    """Return the order that `command` is a copy of, as it is now; None where its id was used for another."""
    found = rows(
        tables.connection,
        f"SELECT {ORDER_COLUMNS}, fingerprint FROM orders WHERE order_id = %s",  # noqa: S608 - a constant list
        (command.order_id,),
    )
    if not found or bytes(found[0][-1]) != commands.fingerprint(command):
        return None
    return order_from_row(found[0], tables.market(found[0][ORDER_SYMBOL]))


def _fills(tables: Tables, order_id: str, sequence: int) -> list[FillRecord]:
    found = rows(
        tables.connection,
        f"SELECT {FILL_COLUMNS} FROM fills WHERE cell = %s AND sequence = %s AND order_id = %s"  # noqa: S608
        " ORDER BY index LIMIT %s",
        (tables.cell, sequence, order_id, MOST_FILLS),
    )
    return [fill_from_row(fill, tables.market(fill[FILL_SYMBOL])) for fill in found]


def _order(tables: Tables, order_id: str, account_id: str) -> OrderRecord | None:
    found = rows(
        tables.connection,
        f"SELECT {ORDER_COLUMNS} FROM orders WHERE order_id = %s AND account_id = %s",  # noqa: S608
        (order_id, account_id),
    )
    return order_from_row(found[0], tables.market(found[0][ORDER_SYMBOL])) if found else None


def _refused(code: str, order: OrderRecord, replayed: bool = False) -> Answer:
    return Answer(
        sequence=order.sequence,
        time=order.updated_time,
        replayed=replayed,
        code=code,
        detail=DETAIL_OF_CODE[code],
        order=order,
    )


def _mismatch(code: str) -> Answer:
    return Answer(code=code, detail=DETAIL_OF_CODE[code])
