"""Answers made from events: what an edge reads of them is there, wherever it came among the others."""

from exchange.commands import CancelOrders, ChangeMarket, KillSwitch, PlacePair
from exchange.events import AccountChanged, Event, MarketChanged, OrderCanceled, OrderTriggered, TierChanged
from exchange.markets import MarketStatus
from exchange.orders import Side
from exchange.outcomes import canceled_document
from matching_service.answers import events_answer
from tests.engines import SYMBOL, TIME, Desk, buy, canceled, market, sell, stop

OPENED = ChangeMarket("x-1", SYMBOL, MarketStatus.OPEN)


def cancels(count: int) -> list[Event]:
    return [canceled(f"1-{at}", "alice", Side.SELL, 100, 1, 1, "oco", (0, 0)) for at in range(count)]


def test_the_answer_to_an_opening_that_cancels_500_orders_tells_what_the_market_is_then() -> None:
    desk = Desk("alice bob", funds=50_000)
    desk.change(status=MarketStatus.AUCTION)
    for at in range(500):
        desk.do(PlacePair(sell(f"1-p{at}", "alice", 1, 100), stop(f"1-s{at}", "alice", Side.SELL, 1, 50)))
    desk.do(buy("1-b", "bob", 500, 100))
    events = desk.do(OPENED)
    assert sum(type(event) is OrderCanceled for event in events) == 500

    answer = events_answer(desk.engine.sequence, TIME, OPENED, events)

    assert [event for event in answer.events if isinstance(event, MarketChanged)] == [MarketChanged(market())]
    assert answer.canceled == 500


def test_an_answer_tells_the_first_500_events_of_each_kind_in_their_order() -> None:
    triggered = [OrderTriggered(f"1-t{at}", "bob", SYMBOL, Side.BUY, None, 0, 0, 0) for at in range(501)]
    tier, changed = TierChanged("bob", SYMBOL, 1, 2), MarketChanged(market())

    answer = events_answer(7, TIME, OPENED, [*cancels(501), tier, *triggered, changed])

    assert answer.events == [*cancels(500), tier, *triggered[:500], changed]
    assert answer.canceled == 501


def test_an_answer_tells_no_trades() -> None:
    desk = Desk("alice bob", funds=10_000)
    desk.change(status=MarketStatus.AUCTION)
    desk.do(sell("1-a", "alice", 1, 100))
    desk.do(buy("1-b", "bob", 1, 100))

    answer = events_answer(desk.engine.sequence, TIME, OPENED, desk.do(OPENED))

    assert [type(event).__name__ for event in answer.events] == ["BookUncrossed", "AuctionEnded", "MarketChanged"]


def test_the_kill_switch_tells_the_status_and_the_first_500_orders() -> None:
    pulled, changed = KillSwitch("x-1", "alice"), AccountChanged("alice", "cancel_only")

    answer = events_answer(7, TIME, pulled, [changed, *cancels(600)])

    assert answer.events[0] == changed
    assert canceled_document(answer) == {"canceled": 600, "order_ids": [f"1-{at}" for at in range(500)]}


def test_canceling_all_tells_the_first_500_orders_whatever_else_happened() -> None:
    tiers: list[Event] = [TierChanged("bob", SYMBOL, 1, 2)] * 500

    answer = events_answer(7, TIME, CancelOrders("x-1", "alice", SYMBOL, None), [*tiers, *cancels(501)])

    assert canceled_document(answer) == {"canceled": 501, "order_ids": [f"1-{at}" for at in range(500)]}
