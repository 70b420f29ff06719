"""Rows of the tables as values: every number exact, whatever its size."""

from decimal import Decimal, Inexact
from typing import Any

import pytest

from exchange.documents import order_document
from exchange.markets import FeeTier, MarketFigures, MarketStatus, ReferencePolicy
from exchange.orders import Liquidity
from exchange.stores.rows import (
    FILL_COLUMNS,
    MARKET_COLUMNS,
    ORDER_COLUMNS,
    ORDER_SYMBOL,
    figures_from_row,
    fill_from_row,
    market_from_row,
    order_from_row,
    units_of,
)
from tests.unit.test_requests_orders import LIMIT, MARKET, MARKET_ORDER, NOW, command

ORDER_ROW = (
    "1-a", "acc_alice", "mine", "BTC-USD", "buy", "limit", Decimal("1.50000"), None, Decimal("100.01"), None, None,
    "gtc", None, False, None, "cancel_newest", None, "partially_filled", Decimal("0.50000"), Decimal("1.00000"),
    Decimal("50.00500000"), Decimal("0.00050000"), Decimal("0E-8"), None, 7, 9, NOW, NOW + 1,
    None, None, None, Decimal(0),
)  # fmt: skip


@pytest.mark.parametrize(
    ("value", "decimals", "units"),
    [
        ("0", 8, 0),
        ("1.5", 8, 150_000_000),
        ("-1.5", 8, -150_000_000),
        ("999999999999999999.999999999999999999", 18, 10**36 - 1),
        ("1E+3", 2, 100_000),
        ("0E-8", 8, 0),
    ],
)
def test_a_numeric_becomes_whole_units(value: str, decimals: int, units: int) -> None:
    assert units_of(Decimal(value), decimals) == units


def test_a_numeric_with_more_decimals_than_the_asset_is_a_bug() -> None:
    with pytest.raises(Inexact):
        units_of(Decimal("0.001"), 2)


def test_the_columns_are_as_many_as_are_read() -> None:
    assert len(ORDER_COLUMNS.split(", ")) == len(ORDER_ROW)
    assert ORDER_COLUMNS.split(", ")[ORDER_SYMBOL] == "symbol"
    assert len(FILL_COLUMNS.split(", ")) == 15
    assert len(MARKET_COLUMNS.split(", ")) == 19


def test_an_order_s_row_is_the_order() -> None:
    record = order_from_row((*ORDER_ROW, "beyond"), MARKET)

    assert (record.placed.quantity_lots, record.placed.price_ticks) == (150_000, 10_001)
    assert (record.filled_lots, record.remaining_lots, record.filled_quote) == (50_000, 100_000, 5_000_500_000)
    assert (record.fee_base, record.fee_quote, record.first_sequence, record.sequence) == (50_000, 0, 7, 9)
    assert order_document(record, MARKET)["average_price"] == "100.01000000"


def test_what_an_order_does_not_have_stays_none() -> None:
    spending = {**MARKET_ORDER, "quantity": None, "quote_quantity": "10"}
    placed = command(spending)
    row = list(ORDER_ROW)
    row[0], row[2], row[5], row[11] = placed.order_id, placed.client_order_id, "market", "ioc"
    row[6], row[7], row[8], row[19] = None, Decimal("10.00000000"), None, None

    record = order_from_row(row, MARKET)

    assert record.placed == placed
    assert record.remaining_lots is None


def test_a_placed_order_comes_back_as_it_went() -> None:
    placed = command({**LIMIT, "client_order_id": "mine", "post_only": True, "queue_deadline_ms": 5})
    row = list(ORDER_ROW)
    row[0], row[13], row[16] = placed.order_id, True, 5

    assert order_from_row(row, MARKET).placed == placed


def test_a_fill_s_fee_is_in_units_of_the_asset_it_is_paid_in() -> None:
    row = (1, 9, 2, "1-a", "acc_alice", "BTC-USD", "sell", Decimal("100.01"), Decimal("0.5"), Decimal("50.005"),
           Decimal("0.1"), "USD", "maker", NOW, False)  # fmt: skip

    fill = fill_from_row(row, MARKET)

    assert (fill.trade_id, fill.price_ticks, fill.quantity_lots, fill.fee) == ("1-9-2", 10_001, 50_000, 10_000_000)


def test_a_market_s_row_is_the_market() -> None:
    row: tuple[Any, ...]
    row = ("BTC-USD", "BTC", "USD", "open", Decimal("0.01"), Decimal("0.00001"), Decimal("0"), Decimal("10000"),
           Decimal("0"), Decimal("0"), None, 1, "local", 8, 8, "moving", 30_000, [], None)  # fmt: skip

    assert market_from_row(row) == MARKET


def test_what_only_some_orders_have_is_read_in_lots_and_ticks() -> None:
    row = (*ORDER_ROW[:28], Decimal("0.20000"), Decimal("99.50"), "1-b", Decimal("0.10000"))

    record = order_from_row(row, MARKET)

    assert (record.displayed_lots, record.trigger_ticks, record.partner_id, record.prevented_lots) == (
        20_000, 9_950, "1-b", 10_000,
    )  # fmt: skip


def test_in_an_auction_the_fill_of_a_resting_order_took_as_well() -> None:
    row = (1, 9, 2, "1-a", "acc_alice", "BTC-USD", "sell", Decimal("100.01"), Decimal("0.5"), Decimal("50.005"),
           Decimal("0.1"), "USD", "maker", NOW, True)  # fmt: skip

    assert fill_from_row(row, MARKET).liquidity is Liquidity.TAKER


def test_the_tiers_of_a_market_and_what_it_came_to_are_in_units_ticks_and_lots() -> None:
    tier = {"volume": "1000.00000000", "maker_fee_rate": "-0.0001", "taker_fee_rate": "0.0005"}
    row: tuple[Any, ...]
    row = ("BTC-USD", "BTC", "USD", "halted", Decimal("0.01"), Decimal("0.00001"), Decimal("0"), Decimal("10000"),
           Decimal("0"), Decimal("0"), None, 1, "local", 8, 8, "last_auction", 5_000, [tier], "open")  # fmt: skip
    figures = (Decimal("100.01"), Decimal("100.00"), 7, Decimal("99.99"), Decimal("0.50000"), Decimal("-0.1"), None, 9)

    market = market_from_row(row)

    assert market.fee_tiers == (FeeTier(1000 * 10**8, -100_000, 500_000),)
    assert (market.reference, market.volatility_auction_ms) == (ReferencePolicy.LAST_AUCTION, 5_000)
    assert market.status_before_halt is MarketStatus.OPEN
    assert figures_from_row(figures, market) == MarketFigures(10_001, 10_000, 7, 9_999, 50_000, -10_000, None, 9)
