"""Auctions, price bands, halts and fees, as operators set them and outside clients meet them."""

import time
from collections.abc import Iterator
from typing import Any

import psycopg2
import pytest

from exchange.stores import history
from exchange.stores.database import Database
from exchange.stores.markets import Markets
from tests.alb import Reply, event
from tests.edge import KEYS, Edge, edge
from tests.until import until
from tests.venues import Venue, venue


@pytest.fixture(scope="module")
def floor() -> Iterator[Edge]:
    with edge() as made:
        yield made


@pytest.fixture
def pit(floor: Edge) -> Venue:
    return venue(floor)


def problem(reply: Reply) -> tuple[int, str]:
    return reply.status, reply.body.get("code", "")


def test_a_market_shows_every_setting_that_it_was_given(floor: Edge) -> None:
    tiers = [{"volume": "1000", "maker_fee_rate": "-0.0005", "taker_fee_rate": "0.001"}]
    pit = venue(
        floor, price_band="0.05", reference="last_auction", volatility_auction_ms=5000, fee_tiers=tiers,
        maker_fee_rate="-0.001", taker_fee_rate="0.002",
    )  # fmt: skip

    shown = pit.part()

    assert (shown["price_band"], shown["reference"], shown["volatility_auction_ms"]) == ("0.05", "last_auction", 5000)
    assert (shown["maker_fee_rate"], shown["taker_fee_rate"]) == ("-0.001", "0.002")
    assert shown["fee_tiers"] == [{"volume": "1000.00000000", "maker_fee_rate": "-0.0005", "taker_fee_rate": "0.001"}]
    changed = pit.change(price_band=None, reference="moving", volatility_auction_ms=1, fee_tiers=[])
    assert (changed["price_band"], changed["reference"], changed["fee_tiers"]) == (None, "moving", [])
    assert pit.part() == changed


def test_a_rebate_above_what_the_taker_pays_is_refused(pit: Venue) -> None:
    market = f"/v1/admin/markets/{pit.symbol}"

    reply = pit.floor.call("admin", "PATCH", market, {"maker_fee_rate": "-0.001"})

    assert (problem(reply), reply.fields) == ((422, "request.invalid"), ["maker_fee_rate"])


def test_an_opening_auction_collects_orders_and_opens_at_one_price(pit: Venue) -> None:
    assert pit.change(status="auction", taker_fee_rate="0.01")["status"] == "auction"
    low = pit.placed("alice", "sell", "2", "99")
    high = pit.placed("bob", "buy", "3", "101")
    assert (low["status"], high["status"]) == ("new", "new")
    assert pit.part("/trades")["data"] == []

    opened = pit.change(status="open")

    assert opened["status"] == "open"
    sold, bought = pit.order("alice", low), pit.order("bob", high)
    assert (sold["status"], bought["status"], bought["remaining_quantity"]) == ("filled", "partially_filled", "1.000")
    assert sold["average_price"] == bought["average_price"]
    for who, order in (("alice", sold), ("bob", bought)):
        [fill] = pit.floor.call(who, "GET", "/v1/fills", query={"order_id": order["order_id"]}).body["data"]
        assert (fill["liquidity"], fill["quantity"]) == ("taker", "2.000")
    assert bought["fees"] == [{"asset": pit.base, "amount": "0.02000000"}]
    [trade] = until(lambda: pit.part("/trades")["data"], 5)
    assert f"{trade['price']}000000" == sold["average_price"]


def test_an_account_that_traded_with_itself_in_an_auction_reads_both_its_fills_page_by_page(pit: Venue) -> None:
    pit.change(status="auction")
    orders = [pit.placed("alice", side, "2", "100") for side in ("sell", "buy")]
    pit.change(status="open")

    pages = pit.floor.pages("alice", "/v1/fills", {"symbol": pit.symbol, "limit": "1"})

    assert [len(page) for page in pages] == [1, 1]
    assert sorted(page[0]["order_id"] for page in pages) == sorted(order["order_id"] for order in orders)


def test_an_auction_takes_what_can_rest_and_refuses_what_cannot(pit: Venue) -> None:
    pit.change(status="auction")
    closed = (422, "order.market_closed")

    assert problem(pit.place("alice", "buy", "1")) == closed
    for times in ("ioc", "fok"):
        assert problem(pit.place("alice", "buy", "1", "100", time_in_force=times)) == closed
    assert problem(pit.place("alice", "buy", "1", "100", post_only=True)) == closed
    assert pit.placed("alice", "buy", "1", "100", time_in_force="day")["status"] == "new"
    assert pit.placed("alice", "buy", "1", "100", display_quantity="0.5")["status"] == "new"
    order = pit.placed("alice", "buy", "1", "100")
    path = f"/v1/orders/{order['order_id']}"
    assert pit.floor.call("alice", "PATCH", path, {"quantity": "0.5"}).status == 200
    assert pit.floor.call("alice", "DELETE", path).status == 200


def test_triggers_wait_until_an_auction_is_over(pit: Venue) -> None:
    pit.traded("100.00")
    stop = pit.placed("alice", "sell", "1", type="stop", stop_price="95")
    pit.change(status="auction")
    pit.placed("maker", "sell", "1", "90")
    pit.placed("bob", "buy", "1", "90")
    assert pit.state("alice", stop) == ("pending_trigger", None)
    pit.placed("bob", "buy", "1", "80")

    pit.change(status="open")

    assert pit.fills("alice", stop) == [("80.00", "1.000")]


def indication(ticker: Any) -> tuple[str | None, str | None]:
    return ticker.get("indicative_price"), ticker.get("indicative_quantity")


def test_an_auction_shows_what_it_would_do_also_from_the_tables(pit: Venue) -> None:
    pit.change(status="auction")
    pit.placed("alice", "sell", "2", "100")
    pit.placed("bob", "buy", "3", "100")

    assert until(lambda: indication(pit.part("/ticker")) == ("100.00", "2.000"), 5)
    database = Database(pit.floor.database_url)
    market = Markets(database).existing(pit.symbol)
    assert indication(history.ticker(database, market, 0)) == ("100.00", "2.000")
    pit.change(status="open")
    assert until(lambda: indication(pit.part("/ticker")) == (None, None), 5)
    assert indication(history.ticker(database, market, 0)) == (None, None)
    database.close()


def test_a_price_beyond_the_band_is_refused(floor: Edge) -> None:
    pit = venue(floor, price_band="0.1")
    assert pit.placed("alice", "buy", "0.001", "1000")["status"] == "new", "there is no reference before a trade"
    pit.floor.call("alice", "DELETE", "/v1/orders", query={"symbol": pit.symbol})
    pit.traded("100.00")

    for side, price in (("buy", "110.01"), ("sell", "89.99")):
        reply = pit.place("alice", side, "1", price)
        assert problem(reply) == (422, "order.price_band")
        assert (reply.body["order"]["status"], reply.body["order"]["reason"]) == ("rejected", "order.price_band")
    assert pit.placed("alice", "buy", "1", "90")["status"] == "new"
    assert pit.placed("alice", "sell", "1", "110")["status"] == "new"
    assert pit.placed("alice", "buy", "1", "1")["status"] == "new"


def test_a_trade_beyond_the_band_starts_an_auction_that_ends_by_itself(floor: Edge) -> None:
    pit = venue(floor, price_band="0.1", volatility_auction_ms=400)
    pit.traded("100.00")
    resting = pit.placed("alice", "sell", "1", "120")

    taken = pit.placed("bob", "buy", "1")

    assert (taken["status"], taken["reason"]) == ("canceled", "insufficient_liquidity")
    assert pit.part()["status"] == "auction"
    assert until(lambda: pit.part()["status"] == "open", 10)
    assert pit.state("alice", resting) == ("new", None)


def test_a_fok_order_beyond_the_band_starts_no_auction(floor: Edge) -> None:
    pit = venue(floor, price_band="0.1")
    pit.traded("100.00")
    pit.placed("alice", "sell", "1", "120")

    taken = pit.placed("bob", "buy", "1", time_in_force="fok")

    assert (taken["status"], taken["reason"]) == ("canceled", "fok_unfilled")
    assert pit.part()["status"] == "open"


def test_a_market_that_only_cancels_does_so(pit: Venue) -> None:
    order = pit.placed("alice", "buy", "1", "100")
    pit.change(status="cancel_only")
    path = f"/v1/orders/{order['order_id']}"

    assert problem(pit.place("alice", "buy", "1", "100")) == (422, "order.market_closed")
    assert problem(pit.floor.call("alice", "PATCH", path, {"price": "99"})) == (422, "order.market_closed")
    assert pit.floor.call("alice", "DELETE", path).status == 200


def test_the_whole_exchange_is_halted_and_resumed_as_it_was(floor: Edge) -> None:
    pit, closed = venue(floor), venue(floor)
    closed.change(status="cancel_only")
    order = pit.placed("alice", "buy", "1", "100")
    given = event("POST", "/v1/admin/halt", key=KEYS["admin"])

    try:
        first, copy = floor.send(given), floor.send(given)
        refused = pit.place("alice", "buy", "1", "100")
        kept = floor.call("alice", "DELETE", f"/v1/orders/{order['order_id']}")
        statuses = {pit.part()["status"], closed.part()["status"]}
    finally:
        resumed = floor.call("admin", "POST", "/v1/admin/resume", {})

    assert (first.status, first.body, copy.body) == (200, {"halted": True}, {"halted": True, "replayed": True})
    assert (problem(refused), problem(kept)) == ((422, "order.market_closed"), (422, "order.market_closed"))
    assert statuses == {"halted"}
    assert (resumed.status, resumed.body) == (200, {"halted": False})
    assert (pit.part()["status"], closed.part()["status"]) == ("open", "cancel_only")
    assert pit.state("alice", order) == ("new", None)
    assert pit.placed("alice", "buy", "1", "100")["status"] == "new"


def test_an_account_shows_its_rates_where_its_volume_reached_a_tier(floor: Edge) -> None:
    tier = {"volume": "1000", "maker_fee_rate": "-0.0005", "taker_fee_rate": "0.001"}
    pit, other = (venue(floor, fee_tiers=[tier, {**tier, "volume": "5000"}]) for _ in range(2))
    with psycopg2.connect(floor.database_url) as connection, connection.cursor() as cursor:
        volumes = [(pit.symbol, 70, 600), (pit.symbol, 99, 400), (other.symbol, 69, 5000), (other.symbol, 99, 999)]
        for symbol, day, volume in [*volumes, (other.symbol, 100, 5000)]:
            cursor.execute("INSERT INTO fee_volumes VALUES (1, 'acc_alice', %s, %s, %s)", (symbol, day, volume))
        cursor.execute("UPDATE markets SET fee_day = 100 WHERE symbol IN (%s, %s)", (pit.symbol, other.symbol))
    connection.close()

    account = floor.call("alice", "GET", "/v1/account").body

    assert account["tier_rates"] == [{"symbol": pit.symbol, "maker_fee_rate": "-0.0005", "taker_fee_rate": "0.001"}]
    assert "tier_rates" not in floor.call("bob", "GET", "/v1/account").body


def test_a_maker_is_paid_a_rebate_out_of_the_taker_s_fee(floor: Edge) -> None:
    pit = venue(floor, maker_fee_rate="-0.001", taker_fee_rate="0.002")
    made = pit.placed("maker", "sell", "2", "100")

    taken = pit.placed("bob", "buy", "2", "100")

    assert taken["fees"] == [{"asset": pit.base, "amount": "0.00400000"}]
    assert pit.order("maker", made)["fees"] == [{"asset": pit.base, "amount": "-0.00200000"}]
    [fill] = floor.call("maker", "GET", "/v1/fills", query={"order_id": made["order_id"]}).body["data"]
    assert (fill["fee"], fill["fee_asset"], fill["liquidity"]) == ("-0.00200000", pit.base, "maker")
    assert pit.balance("maker", pit.base) == ("998.00200000", "0.00000000")
    assert pit.balance("bob", pit.base) == ("1001.99600000", "0.00000000")


def test_orders_expire_in_a_halted_market_too(pit: Venue) -> None:
    expires = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 2))
    order = pit.placed("alice", "buy", "1", "50", time_in_force="gtd", expire_time=expires)
    pit.change(status="halted")

    assert until(lambda: pit.state("alice", order) == ("expired", "expired"), 10)
