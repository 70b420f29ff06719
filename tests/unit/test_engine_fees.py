"""Fees by the volume of 30 days, and rebates: who pays what, and from when on."""

from typing import Any

import pytest

from exchange.commands import CreateMarket
from exchange.events import Event, TierChanged, Trade
from exchange.markets import FeeTier, MarketStatus
from exchange.orders import Side
from matching_service.engine import Engine, Refusal
from tests.engines import SYMBOL, TIME, Desk, buy, market, rejected, sell

BUY, SELL = Side.BUY, Side.SELL
DAY = 86_400_000_000
MIDNIGHT = TIME // DAY * DAY + DAY
PERCENT = 10_000_000
TIERS = (FeeTier(1000, 2 * PERCENT, 3 * PERCENT), FeeTier(5000, PERCENT, 2 * PERCENT))
RATES: dict[str, Any] = {"maker_fee_rate": 5 * PERCENT, "taker_fee_rate": 10 * PERCENT, "fee_tiers": TIERS}


def fees(events: list[Event]) -> list[tuple[int, int]]:
    """Fee of maker and taker of each trade."""
    return [(event.maker_fee, event.taker_fee) for event in events if isinstance(event, Trade)]


def traded(desk: Desk, name: str, lots: int, price: int) -> list[tuple[int, int]]:
    """Let alice sell to bob, who takes."""
    desk.do(sell(f"1-{name}s", "alice", lots, price))
    return fees(desk.do(buy(f"1-{name}b", "bob", lots, price)))


def test_a_volume_counts_from_the_next_day_on() -> None:
    desk = Desk("alice bob", **RATES)

    first, second = traded(desk, "a", 10, 500), traded(desk, "b", 10, 500)
    events = desk.advance_to(MIDNIGHT)
    third = traded(desk, "c", 100, 100)

    assert first == second == [(250, 1)]
    assert events == [
        TierChanged("alice", SYMBOL, PERCENT, 2 * PERCENT),
        TierChanged("bob", SYMBOL, PERCENT, 2 * PERCENT),
    ]
    assert third == [(100, 2)]


def test_the_tier_is_the_highest_whose_volume_is_reached() -> None:
    desk = Desk("alice bob", **RATES)

    traded(desk, "a", 1, 999)
    assert desk.advance_to(MIDNIGHT) == []
    traded(desk, "b", 1, 1)
    assert desk.advance_to(MIDNIGHT + DAY) == [
        TierChanged("alice", SYMBOL, 2 * PERCENT, 3 * PERCENT),
        TierChanged("bob", SYMBOL, 2 * PERCENT, 3 * PERCENT),
    ]


def test_a_volume_counts_on_30_days_and_no_longer() -> None:
    desk = Desk("alice bob", **RATES)
    traded(desk, "a", 10, 100)
    days = [desk.advance_to(MIDNIGHT + day * DAY) for day in range(32)]

    assert [len(events) for events in days] == [2] + [0] * 29 + [2, 0]
    assert days[30] == [
        TierChanged("alice", SYMBOL, 5 * PERCENT, 10 * PERCENT),
        TierChanged("bob", SYMBOL, 5 * PERCENT, 10 * PERCENT),
    ]
    assert desk.engine.next_timer() is None
    assert list(desk.engine.snapshot().fee_volumes) == []


def test_the_day_ends_at_midnight_utc_while_somebody_has_a_volume() -> None:
    desk = Desk("alice bob", **RATES)
    assert desk.engine.next_timer() is None

    traded(desk, "a", 1, 1)

    assert desk.engine.next_timer() == MIDNIGHT
    desk.advance_to(MIDNIGHT + 5)
    assert desk.engine.next_timer() == MIDNIGHT + DAY


def test_days_that_were_passed_over_are_made_up_for_at_once() -> None:
    desk = Desk("alice bob", **RATES)
    traded(desk, "a", 10, 100)

    assert desk.advance_to(MIDNIGHT + 40 * DAY) == []
    assert desk.engine.next_timer() is None


def test_tiers_that_an_operator_changes_hold_at_once() -> None:
    desk = Desk("alice bob", **RATES)
    traded(desk, "a", 10, 100)
    desk.advance_to(MIDNIGHT)

    events = desk.change(fee_tiers=(FeeTier(0, 0, PERCENT),))

    assert events[1:] == [TierChanged("alice", SYMBOL, 0, PERCENT), TierChanged("bob", SYMBOL, 0, PERCENT)]
    assert traded(desk, "b", 100, 100) == [(0, 1)]


def test_a_tier_without_a_volume_is_everybodys() -> None:
    desk = Desk("alice bob", **{**RATES, "fee_tiers": (FeeTier(0, 0, PERCENT),)})

    assert traded(desk, "a", 100, 100) == [(0, 1)]


def test_a_market_without_tiers_counts_no_volume() -> None:
    desk = Desk("alice bob")

    traded(desk, "a", 10, 100)

    assert desk.engine.take_changes().fee_volumes == []
    assert desk.engine.next_timer() is None


def test_a_volume_that_changed_in_a_batch_is_among_its_changes_once() -> None:
    desk = Desk("alice bob", **RATES)

    traded(desk, "a", 10, 100)
    traded(desk, "b", 10, 100)

    changed = desk.engine.take_changes().fee_volumes
    assert [(volume.account_id, volume.day, volume.quote) for volume in changed] == [
        ("alice", TIME // DAY, 2000),
        ("bob", TIME // DAY, 2000),
    ]


def test_an_auction_counts_the_volume_of_both_and_charges_the_takers_rate_of_their_tiers() -> None:
    desk = Desk("alice bob", **RATES)
    traded(desk, "a", 10, 100)
    desk.advance_to(MIDNIGHT)
    desk.change(status=MarketStatus.AUCTION)
    desk.do(sell("1-s", "alice", 100, 100))
    desk.do(buy("1-b", "bob", 100, 100))

    assert fees(desk.change(status=MarketStatus.OPEN)) == [(300, 3)]
    assert [volume.quote for volume in desk.engine.take_changes().fee_volumes] == [1000, 1000, 10_000, 10_000]


def test_a_restored_engine_has_volumes_tiers_and_the_end_of_the_day() -> None:
    desk = Desk("alice bob", **RATES)
    traded(desk, "a", 10, 100)
    desk.advance_to(MIDNIGHT)
    traded(desk, "b", 10, 400)

    again = Engine.restore(desk.engine.snapshot())

    assert dict(again.state_records()) == dict(desk.engine.state_records())
    assert again.next_timer() == desk.engine.next_timer() == MIDNIGHT + DAY
    live = Desk("alice bob")
    live.engine = again
    assert traded(live, "c", 100, 100) == traded(desk, "c", 100, 100) == [(200, 3)]
    assert live.advance_to(MIDNIGHT + DAY) == desk.advance_to(MIDNIGHT + DAY) != []


def test_a_rebate_is_paid_in_the_asset_of_the_takers_fee_and_rounded_down() -> None:
    desk = Desk("alice bob", funds=1000, maker_fee_rate=-PERCENT, taker_fee_rate=3 * PERCENT)
    desk.do(sell("1-s", "alice", 150, 2))
    desk.do(buy("1-t", "alice", 150, 1))

    bought, sold = desk.do(buy("1-b", "bob", 150, 2)), desk.do(sell("1-c", "bob", 150, 1))

    assert bought[1:] == [
        Trade(SYMBOL, "1-s", "alice", "1-b", "bob", BUY, 2, 150, 300, -1, 5, 0, 0,
              851, 0, 1150, 150, 1145, 0, 700, 0, 4, 0),
    ]  # fmt: skip
    assert sold[1:] == [
        Trade(SYMBOL, "1-t", "alice", "1-c", "bob", SELL, 1, 150, 150, -1, 5, 0, 0,
              1001, 0, 1151, 0, 995, 0, 845, 0, 4, 4),
    ]  # fmt: skip
    records = {order.placed.order_id: order.record() for order in desk.engine.take_changes().orders}
    assert (records["1-s"].fee_base, records["1-s"].fee_quote) == (-1, 0)
    assert (records["1-t"].fee_base, records["1-t"].fee_quote) == (0, -1)


def test_a_rebate_is_never_more_than_the_takers_fee() -> None:
    tiers = (FeeTier(10_000, -3 * PERCENT, 3 * PERCENT), FeeTier(20_000, 0, PERCENT))
    desk = Desk("alice bob carol", **{**RATES, "fee_tiers": tiers})
    desk.do(sell("1-s", "alice", 100, 100))
    desk.do(buy("1-t", "bob", 100, 100))
    desk.do(sell("1-u", "carol", 100, 100))
    desk.do(buy("1-v", "bob", 100, 100))
    desk.advance_to(MIDNIGHT)

    assert traded(desk, "x", 100, 100) == [(-1, 1)]


def test_an_order_with_a_rebate_and_a_fee_is_restored_with_both() -> None:
    desk = Desk("alice bob", funds=10_000, maker_fee_rate=-PERCENT, taker_fee_rate=3 * PERCENT)
    desk.do(sell("1-s", "bob", 100, 10))
    desk.do(buy("1-t", "alice", 300, 10))
    desk.do(sell("1-c", "bob", 100, 10))

    again = Engine.restore(desk.engine.snapshot())

    record = again.record("1-t")
    assert record is not None
    assert (record.fee_base, record.fee_quote) == (3, -10)
    assert dict(again.state_records()) == dict(desk.engine.state_records())


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        ({"maker_fee_rate": -PERCENT - 1, "taker_fee_rate": PERCENT}, "maker_fee_rate"),
        ({"taker_fee_rate": -1}, "taker_fee_rate"),
        ({"taker_fee_rate": 10**9}, "taker_fee_rate"),
        ({"maker_fee_rate": 10**9}, "maker_fee_rate"),
        ({"fee_tiers": (FeeTier(0, -2, 1),)}, "fee_tiers"),
        ({"fee_tiers": (FeeTier(5, 0, 0), FeeTier(5, 0, 0))}, "fee_tiers"),
        ({"fee_tiers": (FeeTier(5, 0, 0), FeeTier(4, 0, 0))}, "fee_tiers"),
        ({"fee_tiers": (FeeTier(-1, 0, 0),)}, "fee_tiers"),
        ({"price_band": 0}, "price_band"),
        ({"price_band": 10**9}, "price_band"),
        ({"volatility_auction_ms": 0}, "volatility_auction_ms"),
        ({"volatility_auction_ms": 86_400_001}, "volatility_auction_ms"),
    ],
)
def test_a_market_that_could_not_charge_or_stop_so_is_not_created(settings: dict[str, Any], field: str) -> None:
    refusal = Desk().refused(CreateMarket(market(symbol="ETH-USD", **settings)))

    assert isinstance(refusal, Refusal)
    assert refusal.field == field


def test_an_account_that_may_not_trade_counts_no_volume() -> None:
    desk = Desk("alice bob", min_notional=100, **RATES)

    assert desk.do(buy("1-b", "bob", 1, 1)) == [rejected("1-b", "bob", "order.min_notional")]
    assert desk.engine.take_changes().fee_volumes == []
