"""Each checker passes what is sound and finds every violation that was planted."""

from dataclasses import replace
from decimal import Decimal

import pytest
from msgspec import structs
from msgspec.json import encode

from exchange import stream
from exchange.archive import ArchiveLine, objects_of, read_archive
from exchange.commands import CancelOrder, Journaled
from exchange.events import Event, MarketCreated, OrderAccepted, OrderCanceled
from exchange.orders import Side
from exchange.stream import StreamRecord
from matching_service.journal import GENESIS, batch_of
from matching_service.tables import TableRows
from tests.checkers.books import book_problems, followed_book_problems
from tests.checkers.copies import archive_problems, index_problems, stream_problems
from tests.checkers.journal import Happened, JournalRow, happened, journal_problems
from tests.checkers.money import BalanceRow, LedgerLine, OpenOrder, hold_problems, ledger_problems
from tests.engines import market
from tests.executions import TIME, an_order

NO_TABLES = TableRows("{}", "{}", "{}", "{}")
CANCELED: Event = OrderCanceled("1-abc", "alice", "BTC-USD", Side.BUY, 100, 5, 5, "user", 10, 0)


def commands(*sequences: int) -> list[Journaled]:
    return [Journaled(n, TIME + n, CancelOrder(f"request-{n}", "alice", "1-abc")) for n in sequences]


def a_journal(*batches: tuple[int, ...]) -> list[JournalRow]:
    """Rows of epochs 1, 2 and so on as the matching service chains them, each command with one event."""
    chain, rows = GENESIS, []
    for epoch, sequences in enumerate(batches, 1):
        made = batch_of(1, epoch, chain, commands(*sequences), [[CANCELED] for _ in sequences], NO_TABLES)
        texts = made.commands_json.decode(), made.events_json.decode()
        rows.append(
            JournalRow(1, sequences[0], sequences[-1], made.batch_id, epoch, TIME + sequences[-1], *texts, made.chain)
        )
        chain = made.chain
    return rows


def records_of(rows: list[JournalRow]) -> list[StreamRecord]:
    return [
        StreamRecord(
            timeline=1,
            cell=row.cell,
            epoch=row.epoch,
            batch_id=row.batch_id,
            key="BTC-USD",
            first_sequence=row.first_sequence,
            last_sequence=row.last_sequence,
            chain=row.chain.hex(),
            entries=[
                stream.entry_of(n, TIME + n, CancelOrder(f"request-{n}", "alice", "1-abc"), [(1, CANCELED)])
                for n in range(row.first_sequence, row.last_sequence + 1)
            ],
        )
        for row in rows
    ]


JOURNAL = a_journal((1, 2), (3,), (4, 5))


def test_a_sound_journal_has_no_problems() -> None:
    assert list(journal_problems(JOURNAL, fence=(3, 5))) == []


@pytest.mark.parametrize(
    ("rows", "problem"),
    [
        ([JOURNAL[0], JOURNAL[2]], "follows 2"),
        (JOURNAL[1:], "follows 0"),
        ([JOURNAL[0], JOURNAL[0], *JOURNAL[1:]], "follows 2"),
        ([JOURNAL[0], replace(JOURNAL[1], epoch=0), JOURNAL[2]], "epoch 0 after 1"),
        ([JOURNAL[0], replace(JOURNAL[1], batch_id=JOURNAL[0].batch_id), JOURNAL[2]], "id of another batch"),
        ([replace(JOURNAL[0], events=JOURNAL[0].events.replace('"user"', '"oops"')), *JOURNAL[1:]], "breaks the chain"),
        (
            [replace(JOURNAL[0], commands=JOURNAL[0].commands.replace("alice", "bobby")), *JOURNAL[1:]],
            "breaks the chain",
        ),
        ([JOURNAL[0], replace(JOURNAL[1], chain=bytes(32)), JOURNAL[2]], "breaks the chain"),
        ([replace(JOURNAL[0], commands=JOURNAL[1].commands), *JOURNAL[1:]], "other sequences"),
        ([replace(JOURNAL[0], events="[[]]"), *JOURNAL[1:]], "one list of events"),
        ([replace(JOURNAL[0], last_time=TIME + 9), *JOURNAL[1:]], "time goes back"),
        ([*JOURNAL[:2], replace(JOURNAL[2], last_time=TIME + 9)], "last_time"),
        (JOURNAL[:2], "the fence stands at (3, 5)"),
    ],
)
def test_every_flaw_of_a_journal_is_found(rows: list[JournalRow], problem: str) -> None:
    assert any(problem in found for found in journal_problems(rows, fence=(3, 5)))


def line(place: int, account: str, amount: int, after: int, asset: str = "USD") -> LedgerLine:
    return LedgerLine((1, place, 1, 1), account, asset, Decimal(amount), Decimal(after))


def balance(account: str, available: int, held: int = 0, asset: str = "USD") -> BalanceRow:
    return BalanceRow(account, asset, Decimal(available), Decimal(held))


LEDGER = [line(1, "alice", 50, 50), line(2, "external", -50, -50), line(3, "alice", -20, 30), line(4, "bob", 20, 20)]
BALANCES = [balance("alice", 10, 20), balance("bob", 20), balance("external", -50)]


def test_a_sound_ledger_has_no_problems_in_any_order_of_lines() -> None:
    assert list(ledger_problems(reversed(LEDGER), BALANCES)) == []


@pytest.mark.parametrize(
    ("lines", "balances", "problem"),
    [
        (LEDGER[:3], BALANCES, "the ledger of USD sums to -20"),
        ([*LEDGER[:3], line(4, "bob", 21, 21)], BALANCES, "the ledger of USD sums to 1"),
        ([*LEDGER[:2], line(3, "alice", -20, 31), LEDGER[3]], BALANCES, "balance_after 31"),
        (LEDGER, [balance("alice", 11, 20), *BALANCES[1:]], "('alice', 'USD') has 31"),
        (LEDGER, BALANCES[:1], "('bob', 'USD') has 0"),
        (LEDGER, [*BALANCES, balance("carol", 1)], "('carol', 'USD') has 1"),
    ],
)
def test_every_flaw_of_a_ledger_is_found(lines: list[LedgerLine], balances: list[BalanceRow], problem: str) -> None:
    assert any(problem in found for found in ledger_problems(lines, balances))


def order(
    name: str, side: str, price: int | None, remaining: int, status: str = "new", account: str = "alice"
) -> OpenOrder:
    asked = None if price is None else Decimal(price)
    return OpenOrder(name, account, "BTC-USD", "BTC", "USD", side, status, asked, Decimal(remaining))


ORDERS = [order("bid", "buy", 5, 4), order("ask", "sell", 6, 3), order("stop", "buy", None, 9, "pending_trigger")]
HOLDS = [balance("alice", 0, 20), balance("alice", 7, 3, "BTC"), balance("external", -50)]


def test_holds_that_match_the_open_orders_are_no_problem() -> None:
    assert list(hold_problems(HOLDS, ORDERS)) == []


def test_two_orders_of_which_one_cancels_the_other_hold_once_what_the_larger_one_needs() -> None:
    limit = replace(order("limit", "sell", 9, 3), partner_id="stop")
    stop = replace(order("stop", "sell", None, 4, "pending_trigger"), partner_id="limit")

    assert list(hold_problems([balance("alice", 0, 4, "BTC")], [limit, stop])) == []
    assert list(hold_problems([balance("alice", 0, 3, "BTC")], [limit])) == []


@pytest.mark.parametrize(
    ("balances", "orders", "problem"),
    [
        (HOLDS, ORDERS[1:], "holds 20, but its open orders need 0"),
        ([balance("alice", 0, 19), *HOLDS[1:]], ORDERS, "holds 19, but its open orders need 20"),
        (HOLDS[:1], ORDERS, "has no balance, but its open orders need 3"),
        ([*HOLDS, balance("bob", -1)], ORDERS, "below zero"),
        ([*HOLDS, balance("bob", 1, -1)], ORDERS, "below zero"),
    ],
)
def test_every_wrong_hold_is_found(balances: list[BalanceRow], orders: list[OpenOrder], problem: str) -> None:
    assert any(problem in found for found in hold_problems(balances, orders))


def test_a_book_that_is_not_crossed_has_no_problems() -> None:
    assert list(book_problems(ORDERS)) == []


def test_a_crossed_book_is_no_problem_in_an_auction() -> None:
    assert list(book_problems([*ORDERS, order("high", "buy", 6, 1)], frozenset({"BTC-USD"}))) == []


@pytest.mark.parametrize(
    ("planted", "problem"),
    [
        (order("high", "buy", 6, 1), "crossed: high bids 6, ask asks 6"),
        (order("low", "sell", 4, 1), "crossed: bid bids 5, low asks 4"),
        (order("done", "buy", 1, 0), "is new with 0 remaining"),
        (order("free", "buy", None, 1), "rests without a price"),
    ],
)
def test_every_flaw_of_a_book_is_found(planted: OpenOrder, problem: str) -> None:
    assert any(problem in found for found in book_problems([*ORDERS, planted]))


def happened_of(*batches: list[Event]) -> dict[tuple[int, int, int], Happened]:
    return {
        (1, sequence, index): Happened(TIME, 1, "batch", "", encode(event), False)
        for sequence, events in enumerate(batches, 1)
        for index, event in enumerate(events, 1)
    }


LISTED: Event = MarketCreated(market())
BID: Event = OrderAccepted("bid", "alice", "BTC-USD", Side.BUY, 100, 5, 0, 0)
ASK: Event = OrderAccepted("ask", "bob", "BTC-USD", Side.SELL, 101, 3, 0, 0)
SHOWN = [("BTC-USD", Side.BUY, 100, 5, 1), ("BTC-USD", Side.SELL, 101, 3, 1)]


def test_books_that_the_events_make_are_those_of_the_state() -> None:
    assert list(followed_book_problems(happened_of([LISTED], [BID], [ASK]), SHOWN)) == []


@pytest.mark.parametrize(
    ("events", "shown", "problem"),
    [
        ([BID], SHOWN, "the events leave None at ('BTC-USD', <Side.SELL: 'sell'>, 101)"),
        ([BID, ASK], SHOWN[:1], "the state has None"),
        ([BID, structs.replace(ASK, price_ticks=100)], SHOWN, "(1, 2) leaves the book of BTC-USD crossed"),
        ([BID, structs.replace(CANCELED, resting_lots=4)], SHOWN, "moves no level that there is"),
    ],
)
def test_every_flaw_of_books_that_the_events_make_is_found(
    events: list[Event], shown: list[tuple[str, Side, int, int, int]], problem: str
) -> None:
    found = list(followed_book_problems(happened_of([LISTED], events), shown))

    assert any(problem in one for one in found), found


def archive_of(rows: list[JournalRow]) -> list[ArchiveLine]:
    return read_archive(item.body for item in objects_of("shard", records_of(rows)))


def test_copies_that_hold_the_journal_have_no_problems_however_often_they_hold_it() -> None:
    journal = happened(JOURNAL)

    assert list(stream_problems(journal, records_of(JOURNAL) * 2)) == []
    assert list(archive_problems(journal, archive_of(JOURNAL))) == []


def test_a_record_that_the_stream_lost_is_found() -> None:
    found = list(stream_problems(happened(JOURNAL), records_of(JOURNAL)[:2]))

    assert found == [f"I8: the stream misses {(1, sequence, index)}" for sequence in (4, 5) for index in (0, 1)]


def test_a_part_that_the_stream_lost_is_found() -> None:
    parts = [part for record in records_of(JOURNAL) for part in stream.parts(record, 500)]

    assert list(stream_problems(happened(JOURNAL), parts)) == []
    assert "only the parts [2] of 2" in next(stream_problems(happened(JOURNAL), parts[1:]))


def test_what_never_happened_is_found_in_the_stream() -> None:
    found = list(stream_problems(happened(JOURNAL[:2]), records_of(JOURNAL)))

    assert found[0] == "I8: the stream holds (1, 4, 1), which never happened"


def test_every_flaw_of_an_archive_is_found() -> None:
    journal, lines = happened(JOURNAL), archive_of(JOURNAL)
    of_another_batch = happened([JOURNAL[0], replace(JOURNAL[1], batch_id="another"), JOURNAL[2]])
    of_other_content = happened([*JOURNAL[:2], replace(JOURNAL[2], events=JOURNAL[2].events.replace("user", "oops"))])

    assert list(archive_problems(journal, lines[1:])) == ["I9: the archive misses (1, 1, 0)"]
    assert next(archive_problems(of_another_batch, lines)).startswith("I9: the archive says at (1, 3, 0)")
    assert next(archive_problems(of_other_content, lines)).startswith("I9: the archive says at (1, 4, 1)")


def test_every_flaw_of_an_index_is_found() -> None:
    kept, changed, lost = an_order("kept", 1), an_order("changed", 2), an_order("lost", 3)
    expected = {"kept": kept, "changed": changed, "lost": lost}

    assert list(index_problems("order", expected, expected)) == []
    assert list(
        index_problems("order", expected, {"kept": kept, "changed": changed | {"status": "new!"}, "more": kept})
    ) == [
        "I10: order changed differs in status",
        "I10: order lost is not in the index",
        "I10: order more is in the index and nowhere else",
    ]
