"""Orders as clients ask for them: every field's form, what goes together, and the command that comes of it."""

from typing import Any

import pytest

from exchange.errors import Rejected
from exchange.markets import Market, MarketStatus
from exchange.orders import OrderType, PlaceOrder, SelfTradePrevention, Side, TimeInForce, order_id_of
from exchange.requests_orders import Origin, place_order
from exchange.requests_orders_form import order_form

NOW = 1_763_797_044_000_000
SIGNATURE = "5" * 64
MARKET = Market(
    symbol="BTC-USD",
    base="BTC",
    quote="USD",
    status=MarketStatus.OPEN,
    tick_size=10**16,
    lot_size=10**13,
    min_notional=0,
    max_quantity=10**9,
    maker_fee_rate=0,
    taker_fee_rate=0,
    price_band=None,
    cell=1,
    home_region="local",
    base_decimals=8,
    quote_decimals=8,
)
LIMIT = {"symbol": "BTC-USD", "side": "buy", "type": "limit", "price": "100.01", "quantity": "1.5"}
MARKET_ORDER = {"symbol": "BTC-USD", "side": "buy", "type": "market", "quantity": "1"}
STOP = {"symbol": "BTC-USD", "side": "sell", "type": "stop", "quantity": "1", "stop_price": "90"}
LATER = "2026-11-22T07:37:24.123456Z"


def command(body: Any, index: int = 0) -> PlaceOrder:
    return place_order(order_form(body), MARKET, Origin(1, "acc_alice", SIGNATURE, index, NOW))


def refusal(body: Any) -> Rejected:
    with pytest.raises(Rejected) as raised:
        command(body)
    return raised.value


def without(body: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in body.items() if key != name}


def each(name: str, *values: Any) -> list[tuple[str, Any]]:
    return [(name, value) for value in values]


def test_a_limit_order_becomes_ticks_and_lots() -> None:
    placed = command({**LIMIT, "client_order_id": "mine-1"})

    assert placed == PlaceOrder(
        order_id=order_id_of(1, "acc_alice", "mine-1"),
        account_id="acc_alice",
        client_order_id="mine-1",
        symbol="BTC-USD",
        side=Side.BUY,
        type=OrderType.LIMIT,
        quantity_lots=150_000,
        price_ticks=10_001,
        time_in_force=TimeInForce.GTC,
        self_trade_prevention=SelfTradePrevention.CANCEL_NEWEST,
    )


def test_defaults_and_extra_zeros_make_no_difference() -> None:
    spelled = {
        **LIMIT, "price": "100.0100", "quantity": "1.50000000", "time_in_force": "gtc", "post_only": False,
        "self_trade_prevention": "cancel_newest", "stop_price": None, "expire_time": None, "client_order_id": None,
    }  # fmt: skip

    assert command(spelled) == command(LIMIT)


def test_without_a_client_order_id_the_signature_and_the_place_name_the_order() -> None:
    assert command(LIMIT) == command(LIMIT)
    assert command(LIMIT).client_order_id.startswith("x_")
    assert command(LIMIT, index=1).order_id != command(LIMIT).order_id


def test_a_market_order_is_ioc_unless_it_says_fok() -> None:
    assert command(MARKET_ORDER).time_in_force is TimeInForce.IOC
    assert command({**MARKET_ORDER, "time_in_force": "fok"}).time_in_force is TimeInForce.FOK


def test_a_market_buy_may_say_what_to_spend() -> None:
    placed = command({**without(MARKET_ORDER, "quantity"), "quote_quantity": "12.34567891"})

    assert (placed.quantity_lots, placed.quote_quantity) == (None, 1_234_567_891)


def test_the_deadline_of_the_queue_is_kept() -> None:
    assert command({**LIMIT, "queue_deadline_ms": 3_600_000}).queue_deadline_ms == 3_600_000


NOT_DECIMAL: list[Any] = [
    1, 1.5, True, "", " 1", "1 ", "+1", "-1", "1.", ".5", "01", "1e3", "1E3", "0x1", "1,5", "NaN", "Infinity", "\u0661",
    "1" * 19, "1." + "0" * 19, "1.2.3", [], {}, "1\n", "½", "null",
]  # fmt: skip


@pytest.mark.parametrize("value", NOT_DECIMAL)
@pytest.mark.parametrize("name", ["price", "quantity"])
def test_what_is_no_decimal_string_is_refused(name: str, value: Any) -> None:
    refused = refusal({**LIMIT, name: value})

    assert (refused.status, refused.code, [field for field, _ in refused.fields]) == (422, "request.invalid", [name])


@pytest.mark.parametrize("value", NOT_DECIMAL)
@pytest.mark.parametrize("name", ["quote_quantity", "stop_price", "trailing_delta", "display_quantity"])
def test_other_decimals_have_the_same_form(name: str, value: Any) -> None:
    refused = refusal({**LIMIT, name: value})

    assert (refused.status, refused.code, [field for field, _ in refused.fields]) == (422, "request.invalid", [name])


@pytest.mark.parametrize("zero", ["0", "0.0", "0.000000000000000000"])
@pytest.mark.parametrize("name", ["price", "quantity"])
def test_zero_is_refused_by_name(name: str, zero: str) -> None:
    refused = refusal({**LIMIT, name: zero})

    assert (refused.code, refused.fields) == ("request.invalid", ((name, "must be above zero"),))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *each("side", "Buy", "BUY", "", "long", 1, None, [], {}),
        *each("type", "Limit", "", "iceberg", 0, None, ["limit"]),
        *each("time_in_force", "GTC", "", "gtx", 1, []),
        *each("self_trade_prevention", "none", "", "CANCEL_NEWEST", 1),
        *each("post_only", "true", 1, 0, "", [], {}),
        *each("client_order_id", "", "x_1", "x_", "a" * 37, "a b", "a/b", "é", 1, [], "a\n", "a.b"),
        *each("queue_deadline_ms", 0, -1, 3_600_001, "1000", 1.0, 1.5, True, []),
        *each("expire_time", "", "soon", "2026-11-22", 1763797044, LATER[:-1], "2026-13-01T0:0:0Z"),
        *each("symbol", 1, None, [], {}),
    ],
)  # fmt: skip
def test_a_bad_value_is_refused_by_name(name: str, value: Any) -> None:
    refused = refusal({**LIMIT, name: value})

    assert (refused.status, refused.code, [field for field, _ in refused.fields]) == (422, "request.invalid", [name])


@pytest.mark.parametrize("name", ["symbol", "side", "type", "price", "quantity"])
def test_a_missing_field_is_refused_by_name(name: str) -> None:
    refused = refusal(without(LIMIT, name))

    assert (refused.status, refused.code, [field for field, _ in refused.fields]) == (422, "request.invalid", [name])


@pytest.mark.parametrize("name", ["Price", "qty", "", "order_id", "account_id", "leverage", "__class__", "a" * 200])
def test_an_unknown_field_is_refused_by_name(name: str) -> None:
    refused = refusal({**LIMIT, name: "1"})

    assert (refused.code, refused.fields) == (
        "request.invalid",
        ((name[:64] or "body", "is not a field of this request"),),
    )


@pytest.mark.parametrize("body", [None, [], "limit", 1, True, [LIMIT]])
def test_a_body_that_is_no_object_is_refused(body: Any) -> None:
    refused = refusal(body)

    assert (refused.status, refused.code, refused.fields) == (422, "request.invalid", (("body", "must be an object"),))


def test_every_bad_field_is_named_at_once() -> None:
    refused = refusal({"symbol": "BTC-USD", "side": "up", "price": 1, "quantity": "x", "colour": "red"})

    assert sorted(field for field, _ in refused.fields) == ["colour", "price", "quantity", "side", "type"]


@pytest.mark.parametrize("price", ["100.001", "0.001", "100.0100001", "0.000000000000000001"])
def test_a_price_between_two_ticks_is_refused(price: str) -> None:
    refused = refusal({**LIMIT, "price": price})

    assert (refused.status, refused.code) == (422, "order.price_tick")
    assert refused.fields == (("price", "must be a multiple of the market's tick_size"),)


@pytest.mark.parametrize("quantity", ["0.000001", "1.000009", "0.000000000000000001"])
@pytest.mark.parametrize("body", [LIMIT, MARKET_ORDER])
def test_a_quantity_between_two_lots_is_refused(body: dict[str, Any], quantity: str) -> None:
    refused = refusal({**body, "quantity": quantity})

    assert (refused.status, refused.code) == (422, "order.lot_size")
    assert refused.fields == (("quantity", "must be a multiple of the market's lot_size"),)


def test_the_steps_hold_for_every_price_and_every_quantity() -> None:
    assert refusal({**STOP, "stop_price": "90.001"}).code == "order.price_tick"
    assert refusal({**without(STOP, "stop_price"), "type": "trailing_stop", "trailing_delta": "1.001"}).fields == (
        ("trailing_delta", "must be a multiple of the market's tick_size"),
    )
    assert refusal({**LIMIT, "display_quantity": "0.000001"}).code == "order.lot_size"


def test_a_stop_keeps_its_prices_as_ticks_and_a_trailing_one_its_distance() -> None:
    stop = command({**STOP, "type": "stop_limit", "price": "89.5", "stop_price": "90"})
    trailing = command({**without(STOP, "stop_price"), "type": "trailing_stop", "trailing_delta": "1.25"})

    assert (stop.type, stop.stop_price_ticks, stop.price_ticks) == (OrderType.STOP_LIMIT, 9_000, 8_950)
    assert (trailing.stop_price_ticks, trailing.trailing_delta_ticks) == (None, 125)
    assert (stop.time_in_force, trailing.time_in_force) == (TimeInForce.GTC, TimeInForce.GTC)


def test_a_good_till_date_order_keeps_its_time() -> None:
    placed = command({**LIMIT, "time_in_force": "gtd", "expire_time": "2026-11-22T09:37:24.123456+02:00"})

    assert (placed.time_in_force, placed.expire_time) == (TimeInForce.GTD, 1_795_333_044_123_456)


def test_an_iceberg_keeps_what_it_shows_and_every_mode_of_prevention_its_name() -> None:
    modes = ["cancel_newest", "cancel_oldest", "cancel_both", "decrement"]

    assert command({**LIMIT, "display_quantity": "0.5"}).display_lots == 50_000
    assert [command({**LIMIT, "self_trade_prevention": mode}).self_trade_prevention for mode in modes] == modes


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({**MARKET_ORDER, "quantity": "10000000000"}, "quantity"),
        ({**MARKET_ORDER, "quantity": "999999999999999999"}, "quantity"),
        ({**LIMIT, "quantity": "10000000000"}, "quantity"),
        ({**LIMIT, "price": "10000000000", "quantity": "1"}, "price"),
        ({**LIMIT, "price": "100000", "quantity": "100000"}, "quantity"),
        ({**LIMIT, "price": "999999999999999999", "quantity": "0.00001"}, "price"),
        ({**STOP, "stop_price": "10000000000"}, "stop_price"),
        ({**STOP, "type": "stop_limit", "price": "1", "stop_price": "10000000000"}, "stop_price"),
        ({**without(STOP, "stop_price"), "type": "trailing_stop", "trailing_delta": "10000000000"}, "trailing_delta"),
        ({**without(MARKET_ORDER, "quantity"), "quote_quantity": "10000000000"}, "quote_quantity"),
        ({**without(MARKET_ORDER, "quantity"), "quote_quantity": "0.000000001"}, "quote_quantity"),
    ],
)
def test_what_reaches_ten_to_the_eighteen_units_is_refused_by_name(body: dict[str, Any], field: str) -> None:
    refused = refusal(body)

    assert (refused.status, refused.code) == (422, "request.invalid")
    assert field in [each for each, _ in refused.fields]


def test_the_largest_order_below_the_bound_is_taken() -> None:
    assert command({**LIMIT, "price": "9999999999.99", "quantity": "1"}).price_ticks == 999_999_999_999
    assert command({**MARKET_ORDER, "quantity": "9999999999.99999"}).quantity_lots == 999_999_999_999_999
