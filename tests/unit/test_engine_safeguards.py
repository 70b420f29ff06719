"""What stops trading: account states, the dead man's switch, the kill switch, and the halt of the exchange."""

import pytest

from exchange.commands import (
    CancelAllAfter,
    CancelOrder,
    CancelOrders,
    ChangeAccount,
    Command,
    CreateMarket,
    HaltExchange,
    KillSwitch,
    ResumeExchange,
    Transfer,
)
from exchange.events import (
    AccountChanged,
    AuctionStarted,
    CommandRefused,
    DeadManSet,
    ExchangeHalted,
    ExchangeResumed,
    MarketChanged,
)
from exchange.markets import MarketStatus
from exchange.orders import Side
from matching_service.engine import Copy, Engine
from matching_service.state import NOT_FOUND
from tests.engines import SYMBOL, TIME, Desk, at_market, buy, canceled, kinds, market, rejected, sell

BUY, SELL = Side.BUY, Side.SELL
SUSPENDED = CommandRefused("account.suspended", "The account may not do this now.", None)
OPEN, AUCTION, HALTED = MarketStatus.OPEN, MarketStatus.AUCTION, MarketStatus.HALTED


def test_an_account_in_cancel_only_cancels_and_does_nothing_else() -> None:
    desk = Desk(funds=1000)
    desk.do(buy("1-a", "alice", 1, 100))
    desk.do(buy("1-b", "alice", 1, 100))

    assert desk.do(ChangeAccount("r", "alice", "cancel_only")) == [AccountChanged("alice", "cancel_only")]

    assert desk.do(buy("1-c", "alice", 1, 100)) == [rejected("1-c", "alice", "account.suspended")]
    assert kinds(desk.do(CancelOrder("r1", "alice", "1-a"))) == ["OrderCanceled"]
    assert kinds(desk.do(CancelOrders("r2", "alice", None, None))) == ["OrderCanceled"]
    assert desk.do(CancelAllAfter("r3", "alice", 1000)) == [DeadManSet("alice", TIME + 1_000_000)]


@pytest.mark.parametrize(
    "command",
    [
        CancelOrder("r", "alice", "1-a"),
        CancelOrder("r", "alice", "1-unknown"),
        CancelOrders("r", "alice", None, None),
        CancelAllAfter("r", "alice", 1000),
        CancelAllAfter("r", "alice", 0),
    ],
)
def test_of_a_suspended_account_nothing_is_taken(command: Command) -> None:
    desk = Desk(funds=1000)
    desk.do(buy("1-a", "alice", 1, 100))
    desk.do(ChangeAccount("r0", "alice", "suspended"))

    assert desk.do(buy("1-b", "alice", 1, 100)) == [rejected("1-b", "alice", "account.suspended")]
    assert desk.do(command) == [SUSPENDED]
    assert desk.open_orders() == ["1-a"]


def test_the_orders_of_a_suspended_account_stay_and_trade() -> None:
    desk = Desk(funds=1000)
    desk.do(sell("1-a", "alice", 1, 100))
    desk.do(ChangeAccount("r", "alice", "suspended"))

    assert kinds(desk.do(buy("1-b", "bob", 1, 100))) == ["OrderAccepted", "Trade"]


def test_an_account_that_is_active_again_trades_again() -> None:
    desk = Desk(funds=1000)
    desk.do(buy("1-a", "alice", 1, 100))
    desk.do(ChangeAccount("r", "alice", "suspended"))
    desk.do(ChangeAccount("r2", "alice", "active"))

    assert kinds(desk.do(buy("1-b", "alice", 1, 100))) == ["OrderAccepted"]


def test_an_account_that_was_suspended_before_its_first_order_is_refused_it() -> None:
    desk = Desk(funds=1000)
    desk.do(ChangeAccount("r", "alice", "suspended"))

    assert desk.do(buy("1-b", "alice", 1, 100)) == [rejected("1-b", "alice", "account.suspended")]


def test_the_state_of_an_account_is_looked_at_before_that_of_the_market() -> None:
    desk = Desk(funds=1000)
    desk.do(ChangeAccount("r", "alice", "cancel_only"))
    desk.change(status=HALTED)

    assert desk.do(buy("1-b", "alice", 1, 100)) == [rejected("1-b", "alice", "account.suspended")]


def test_a_dead_man_loses_all_open_orders_oldest_first_when_the_time_has_come() -> None:
    desk = Desk(funds=1000)
    desk.do(buy("1-a", "alice", 1, 100))
    desk.do(sell("1-b", "alice", 2, 200))
    desk.do(buy("1-c", "bob", 1, 90))
    assert desk.do(CancelAllAfter("r", "alice", 1000)) == [DeadManSet("alice", TIME + 1_000_000)]

    too_early, events = desk.advance_to(TIME + 999_999), desk.advance_to(TIME + 1_000_000)

    assert too_early == []
    assert events == [
        DeadManSet("alice", None),
        canceled("1-a", "alice", BUY, 100, 1, 1, "dead_man", (1000, 0)),
        canceled("1-b", "alice", SELL, 200, 2, 2, "dead_man", (1000, 0)),
    ]
    assert desk.open_orders() == ["1-c"]
    assert desk.engine.next_timer() is None


def test_a_dead_mans_switch_that_is_set_again_fires_at_the_new_time_only() -> None:
    desk = Desk(funds=1000)
    desk.do(buy("1-a", "alice", 1, 100))
    desk.do(CancelAllAfter("r", "alice", 1000))
    desk.do(CancelAllAfter("r2", "alice", 5000))

    assert desk.engine.next_timer() == TIME + 5_000_000
    assert desk.advance_to(TIME + 1_000_000) == []
    assert kinds(desk.advance_to(TIME + 5_000_000)) == ["DeadManSet", "OrderCanceled"]


def test_a_timeout_of_zero_disarms_the_dead_mans_switch() -> None:
    desk = Desk(funds=1000)
    desk.do(buy("1-a", "alice", 1, 100))
    desk.do(CancelAllAfter("r", "alice", 1000))

    assert desk.do(CancelAllAfter("r2", "alice", 0)) == [DeadManSet("alice", None)]
    assert desk.engine.next_timer() is None
    assert desk.advance_to(TIME + 9_000_000) == []


def test_a_dead_man_loses_his_orders_in_a_halted_market_and_in_a_state_that_takes_nothing_of_him() -> None:
    desk = Desk(funds=1000)
    desk.do(buy("1-a", "alice", 1, 100))
    desk.do(CancelAllAfter("r", "alice", 1000))
    desk.do(ChangeAccount("r2", "alice", "suspended"))
    desk.change(status=HALTED)

    assert kinds(desk.advance_to(TIME + 1_000_000)) == ["DeadManSet", "OrderCanceled"]


def test_dead_men_of_one_time_go_in_the_order_in_which_their_accounts_were_created() -> None:
    desk = Desk("carol bob alice", funds=1000)
    for account in ("alice", "bob", "carol"):
        desk.do(CancelAllAfter(f"r{account}", account, 1000))

    assert desk.advance_to(TIME + 1_000_000) == [
        DeadManSet("carol", None),
        DeadManSet("bob", None),
        DeadManSet("alice", None),
    ]


def test_the_kill_switch_cancels_everything_in_halted_markets_too_and_lets_only_cancel() -> None:
    desk = Desk(funds=1000)
    desk.do(CreateMarket(market(symbol="BTC-USD2")))
    desk.do(buy("1-a", "alice", 1, 100))
    desk.do(sell("1-b", "alice", 2, 200))
    desk.do(buy("1-c", "bob", 1, 90))
    desk.change(status=HALTED)

    assert desk.do(KillSwitch("r", "alice")) == [
        AccountChanged("alice", "cancel_only"),
        canceled("1-a", "alice", BUY, 100, 1, 1, "kill_switch", (1000, 0)),
        canceled("1-b", "alice", SELL, 200, 2, 2, "kill_switch", (1000, 0)),
    ]
    assert desk.do(buy("1-d", "alice", 1, 100)) == [rejected("1-d", "alice", "account.suspended")]


def test_the_kill_switch_leaves_a_suspended_account_suspended() -> None:
    desk = Desk(funds=1000)
    desk.do(ChangeAccount("r", "alice", "suspended"))

    assert desk.do(KillSwitch("r2", "alice")) == [AccountChanged("alice", "suspended")]


def test_a_halted_exchange_takes_nothing_and_resumed_it_is_as_it_was() -> None:
    desk = Desk(funds=1000)
    other = market(symbol="BTC-EUR", status=MarketStatus.CANCEL_ONLY)
    desk.do(CreateMarket(other))

    halted = desk.do(HaltExchange("r"))
    refused = desk.do(buy("1-a", "alice", 1, 100))
    again = desk.do(HaltExchange("r2"))
    resumed = desk.do(ResumeExchange("r3"))

    assert halted == [
        ExchangeHalted(),
        MarketChanged(market(status=HALTED, status_before_halt=OPEN)),
        MarketChanged(market(symbol="BTC-EUR", status=HALTED, status_before_halt=MarketStatus.CANCEL_ONLY)),
    ]
    assert refused == [rejected("1-a", "alice", "order.market_closed")]
    assert again == [ExchangeHalted()]
    assert resumed == [ExchangeResumed(), MarketChanged(market()), MarketChanged(other)]
    assert desk.do(ResumeExchange("r4")) == [ExchangeResumed()]


def test_a_market_that_an_operator_changes_during_a_halt_is_left_alone_when_the_exchange_resumes() -> None:
    desk = Desk(funds=1000)
    desk.do(HaltExchange("r"))

    assert desk.change(status=OPEN) == [MarketChanged(market())]
    assert desk.do(ResumeExchange("r2")) == [ExchangeResumed()]


def test_a_market_that_an_operator_halts_during_a_halt_stays_halted() -> None:
    desk = Desk(funds=1000)
    desk.do(HaltExchange("r"))

    assert desk.change(status=HALTED) == [MarketChanged(market(status=HALTED))]
    assert desk.do(ResumeExchange("r2")) == [ExchangeResumed()]


def test_an_auction_whose_time_passes_during_a_halt_ends_after_it() -> None:
    desk = Desk(funds=1000, price_band=100_000_000)
    desk.do(sell("1-s", "alice", 1, 100))
    desk.do(buy("1-t", "bob", 1, 100))
    desk.do(sell("1-a", "alice", 1, 120))
    assert AuctionStarted(SYMBOL, TIME + 30_000_000, 100) in desk.do(at_market("1-b", "bob", BUY, 1))
    desk.do(HaltExchange("r"))

    during = desk.advance_to(TIME + 30_000_000)
    desk.engine.apply(ResumeExchange("r2"), TIME + 40_000_000)
    again = Engine.restore(desk.engine.snapshot())
    after = desk.advance_to(TIME + 40_000_000)

    assert during == []
    assert again.next_timer() == TIME + 30_000_000
    assert kinds(after) == ["AuctionEnded", "MarketChanged"]


def test_cancel_all_and_expiry_go_on_in_a_halted_exchange() -> None:
    desk = Desk(funds=1000)
    desk.do(buy("1-a", "alice", 1, 100))
    desk.do(HaltExchange("r"))

    assert kinds(desk.do(KillSwitch("r2", "alice"))) == ["AccountChanged", "OrderCanceled"]


@pytest.mark.parametrize(
    "command",
    [
        ChangeAccount("r", "alice", "suspended"),
        KillSwitch("r", "alice"),
        CancelAllAfter("r", "alice", 10),
        HaltExchange("r"),
        ResumeExchange("r"),
    ],
)
def test_a_copy_of_a_request_is_known(command: Command) -> None:
    desk = Desk(funds=1000)
    desk.do(command)

    assert desk.refused(command) == Copy(desk.engine.sequence)


@pytest.mark.parametrize(
    "command",
    [ChangeAccount("r", "nobody", "suspended"), KillSwitch("r", "nobody"), CancelAllAfter("r", "nobody", 10)],
)
def test_what_is_about_an_unknown_account_leaves_no_trace(command: Command) -> None:
    assert Desk().refused(command) == NOT_FOUND


def test_an_account_changed_twice_in_a_batch_is_among_its_changes_once() -> None:
    desk = Desk(funds=1000)
    desk.do(ChangeAccount("r", "alice", "cancel_only"))
    desk.do(CancelAllAfter("r2", "alice", 10))

    assert [(each.account_id, each.status) for each in desk.engine.take_changes().accounts] == [
        ("alice", "cancel_only")
    ]


def test_a_restored_engine_has_states_and_deadlines() -> None:
    desk = Desk(funds=1000)
    desk.do(buy("1-a", "alice", 1, 100))
    desk.do(CancelAllAfter("r", "alice", 1000))
    desk.do(ChangeAccount("r2", "bob", "suspended"))
    desk.do(HaltExchange("r3"))

    again = Engine.restore(desk.engine.snapshot())

    assert dict(again.state_records()) == dict(desk.engine.state_records())
    assert again.next_timer() == TIME + 1_000_000
    following: list[Command] = [
        ResumeExchange("r4"),
        buy("1-b", "bob", 1, 100),
        Transfer("deposit", "bob", "USD", 1, "t"),
    ]
    for command in following:
        assert again.apply(command, TIME) == desk.engine.apply(command, TIME)
    assert dict(again.state_records()) == dict(desk.engine.state_records())
