"""Accounts and what is remembered of them: balances, recent ids, ids of requests."""

import pytest

from exchange.commands import CreateAccount, CreateAsset, Transfer
from exchange.events import CommandRefused, Transferred
from matching_service import memory
from matching_service.accounts import EXTERNAL, FEES, Accounts, Balance
from matching_service.engine import Copy, Refusal
from matching_service.memory import RecentIds, RequestIds
from tests.engines import TIME, Desk, buy, sell


def deposit(account: str, amount: int, reference: str, asset: str = "USD") -> Transfer:
    return Transfer("deposit", account, asset, amount, reference)


def withdrawal(account: str, amount: int, reference: str, asset: str = "USD") -> Transfer:
    return Transfer("withdrawal", account, asset, amount, reference)


def test_an_account_has_one_balance_of_each_asset() -> None:
    accounts = Accounts()

    balance = accounts.balance("alice", "USD")

    assert accounts.balance("alice", "USD") is balance
    assert accounts.balance("alice", "BTC") is not balance


def test_balances_come_by_account_and_asset_without_those_of_zero() -> None:
    accounts = Accounts()
    for account, asset, available, held in (("bob", "USD", 1, 0), ("alice", "USD", 0, 2), ("alice", "BTC", 0, 0)):
        balance = accounts.balance(account, asset)
        balance.available, balance.held = available, held

    assert [(b.account_id, b.asset) for b in accounts.balances()] == [("alice", "USD"), ("bob", "USD")]


def test_the_account_of_the_fees_is_there_from_the_beginning_and_the_external_one_is_no_account() -> None:
    accounts = Accounts()

    assert (FEES in accounts.by_id, EXTERNAL in accounts.by_id) == (True, False)


def test_a_deposit_adds_to_available_and_takes_from_the_world_outside() -> None:
    desk = Desk("alice", funds=0)

    events = desk.do(deposit("alice", 500, "r1"))

    assert events == [Transferred("deposit", "alice", "USD", 500, "r1", 500, 0, -500)]
    assert (desk.balance("alice", "USD"), desk.balance(EXTERNAL, "USD")) == ((500, 0), (-500, 0))


def test_a_withdrawal_takes_from_available_only() -> None:
    desk = Desk("alice", funds=1000)
    desk.do(buy("1-a", "alice", 6, 100))

    refused = desk.do(withdrawal("alice", 401, "r1"))
    done = desk.do(withdrawal("alice", 400, "r2"))

    assert refused == [
        CommandRefused("order.insufficient_funds", "The available balance does not cover the order.", None)
    ]
    assert done == [Transferred("withdrawal", "alice", "USD", -400, "r2", 0, 600, -600)]
    assert desk.balance("alice", "USD") == (0, 600)


def test_a_reference_is_used_up_for_its_account_and_kind_also_by_a_refusal() -> None:
    desk = Desk("alice bob", funds=0)
    desk.do(withdrawal("alice", 1, "same"))
    sequence = desk.engine.sequence

    assert desk.refused(withdrawal("alice", 1, "same")) == Copy(sequence)
    assert desk.refused(deposit("alice", 1, "same")) is None
    assert desk.refused(withdrawal("bob", 1, "same")) is None


def test_a_refused_transfer_is_among_the_changes_like_a_done_one() -> None:
    desk = Desk("alice", funds=0)
    desk.do(withdrawal("alice", 1, "refused"))
    desk.do(deposit("alice", 1, "done"))

    changes = desk.engine.take_changes()

    assert [(entry.transfer.reference, entry.sequence) for entry in changes.transfers] == [
        ("refused", desk.engine.sequence - 1),
        ("done", desk.engine.sequence),
    ]


@pytest.mark.parametrize(
    ("command", "refusal"),
    [
        (deposit("nobody", 1, "r"), Refusal("resource.not_found", "There is no such object.")),
        (deposit(EXTERNAL, 1, "r"), Refusal("resource.not_found", "There is no such object.")),
        (deposit("alice", 1, "r", "DOGE"), Refusal("request.invalid", "There is no such asset.", "asset")),
        (
            deposit("alice", 10**18 - 1000, "r"),
            Refusal("request.invalid", "The amount or the resulting balance is too large.", "amount"),
        ),
        (
            withdrawal("alice", 10**18, "r"),
            Refusal("request.invalid", "The amount or the resulting balance is too large.", "amount"),
        ),
    ],
)
def test_a_transfer_that_cannot_be_leaves_no_trace(command: Transfer, refusal: Refusal) -> None:
    desk = Desk("alice", funds=1000)

    assert desk.refused(command) == refusal


def test_a_balance_may_reach_one_unit_below_the_bound_held_part_included() -> None:
    desk = Desk("alice", funds=1000)
    desk.do(buy("1-a", "alice", 6, 100))

    desk.do(deposit("alice", 10**18 - 1001, "r"))

    assert desk.balance("alice", "USD") == (10**18 - 601, 600)


def test_an_account_or_asset_that_exists_is_a_copy_of_its_creation() -> None:
    desk = Desk("alice")

    assert desk.refused(CreateAsset("BTC", 2)) == Copy(1)
    assert desk.refused(CreateAccount("another request", "alice", "alice")) == Copy(4)


def test_nobody_can_be_the_world_outside() -> None:
    desk = Desk("alice")

    assert desk.refused(CreateAccount("r", EXTERNAL, "x")) == Refusal(
        "request.invalid", "The id is taken by the system.", "account_id"
    )


def test_fee_income_can_be_withdrawn_like_other_funds() -> None:
    desk = Desk("alice bob", maker_fee_rate=10**8, taker_fee_rate=10**8)
    desk.do(sell("1-a", "alice", 10, 100))
    desk.do(buy("1-b", "bob", 10, 100))

    events = desk.do(withdrawal(FEES, 100, "income"))

    assert events == [Transferred("withdrawal", FEES, "USD", -100, "income", 0, 0, -1_999_900)]


def test_exactly_the_last_100000_recent_ids_are_part_of_the_state() -> None:
    recent = RecentIds()
    for number in range(memory.MAX_RECENT_IDS + 2500):
        recent.sequences[str(number)] = number

    entries = recent.entries()

    assert (len(entries), entries[0], entries[-1]) == (100_000, ("2500", 2500), ("102499", 102_499))


def test_trimming_drops_the_oldest_ids_and_changes_no_entry() -> None:
    recent = RecentIds()
    for number in range(memory.MAX_RECENT_IDS + 2500):
        recent.sequences[str(number)] = number
    before = recent.entries()

    recent.trim()

    assert (recent.entries(), len(recent.sequences), "2499" in recent.sequences) == (before, 100_000, False)


def test_the_id_of_a_request_is_remembered_for_120_seconds_and_not_a_microsecond_longer() -> None:
    requests = RequestIds()
    requests.advance(1, TIME)
    requests.sequences["first"] = 1
    requests.advance(2, TIME + 1)
    requests.sequences["second"] = 3

    requests.advance(4, TIME + 120_000_000)
    assert (requests.sequence_of("first"), requests.sequence_of("second")) == (1, 3)

    requests.advance(5, TIME + 120_000_001)
    assert (requests.sequence_of("first"), requests.sequence_of("second")) == (None, 3)
    assert list(requests.entries()) == [("second", 3, TIME + 1)]


def test_forgotten_requests_are_dropped_from_memory_a_thousand_at_a_time() -> None:
    requests = RequestIds()
    for number in range(1, 3001):
        requests.advance(number, TIME + number)
        requests.sequences[str(number)] = number

    requests.advance(3001, TIME + 120_000_000 + 2001)
    before = list(requests.entries())
    requests.trim()

    assert (len(requests.sequences), list(requests.entries())) == (1000, before)


def test_a_balance_is_noted_once_a_batch() -> None:
    desk = Desk("alice")
    for number in range(3):
        desk.do(deposit("alice", 1, f"r{number}"))

    changed = desk.engine.take_changes().balances

    assert [(balance.account_id, balance.asset) for balance in changed] == [("alice", "USD"), (EXTERNAL, "USD")]
    assert all(isinstance(balance, Balance) for balance in changed)
    assert desk.engine.take_changes().balances == []
