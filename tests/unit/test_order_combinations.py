"""What goes together in an order: each type, each time in force, each optional field, and what must come of it."""

from typing import Any

import pytest

from exchange.errors import Rejected
from exchange.requests_orders_form import order_form

LATER = "2027-01-01T00:00:00Z"
TIMES = (None, "gtc", "ioc", "fok", "gtd", "day")
BARE: dict[str, dict[str, str]] = {
    "limit": {"quantity": "1", "price": "100"},
    "market": {"quantity": "1"},
    "stop": {"quantity": "1", "stop_price": "90"},
    "stop_limit": {"quantity": "1", "stop_price": "90", "price": "89"},
    "take_profit": {"quantity": "1", "stop_price": "110"},
    "take_profit_limit": {"quantity": "1", "stop_price": "110", "price": "111"},
    "trailing_stop": {"quantity": "1", "trailing_delta": "5"},
}
CHANGES: dict[str, dict[str, Any]] = {
    "nothing else": {},
    "no quantity": {"quantity": None},
    "no price": {"price": None},
    "no stop_price": {"stop_price": None},
    "no trailing_delta": {"trailing_delta": None},
    "price": {"price": "100"},
    "stop_price": {"stop_price": "90"},
    "trailing_delta": {"trailing_delta": "5"},
    "quote_quantity": {"quote_quantity": "50"},
    "quote in its place": {"quantity": None, "quote_quantity": "50"},
    "the wrong expiry": {"expire_time": LATER},
    "post_only": {"post_only": True},
    "display_quantity": {"display_quantity": "0.5"},
    "all displayed": {"display_quantity": "1"},
    "too much displayed": {"display_quantity": "1.00001"},
    "cancel_oldest": {"self_trade_prevention": "cancel_oldest"},
    "cancel_both": {"self_trade_prevention": "cancel_both"},
    "decrement": {"self_trade_prevention": "decrement"},
}
"""`the wrong expiry` takes the expire_time away from a gtd order, which has one in all other rows."""

TABLE = """
limit             | nothing else       | ok
limit             | no quantity        | !size
limit             | no price           | !price
limit             | stop_price         | stop
limit             | trailing_delta     | delta
limit             | quote_quantity     | quote
limit             | quote in its place | quote
limit             | the wrong expiry   | expiry
limit             | post_only          | ok | ok | post | post | ok | ok
limit             | display_quantity   | ok | ok | shown | shown | ok | ok
limit             | all displayed      | ok | ok | shown | shown | ok | ok
limit             | too much displayed | shown | shown | shown,shown | shown,shown | shown | shown
limit             | cancel_oldest      | ok
limit             | cancel_both        | ok
limit             | decrement          | ok
market            | nothing else       | ok | time | ok | ok | expiry,time | time
market            | no quantity        | !size | !size,time | !size | !size | !size,expiry,time | !size,time
market            | price              | price | price,time | price | price | price,expiry,time | price,time
market            | stop_price         | stop | stop,time | stop | stop | stop,expiry,time | stop,time
market            | trailing_delta     | delta | delta,time | delta | delta | delta,expiry,time | delta,time
market            | quote_quantity     | quote | time,quote | quote | quote | expiry,time,quote | time,quote
market            | quote in its place | ok | time | ok | ok | expiry,time | time
market            | the wrong expiry   | expiry | expiry,time | expiry | expiry | time,expiry | expiry,time
market            | post_only          | post | post,time | post | post | expiry,post,time | post,time
market            | display_quantity   | shown | shown,time | shown | shown | expiry,shown,time | shown,time
market            | all displayed      | shown | shown,time | shown | shown | expiry,shown,time | shown,time
market            | too much displayed | shown | shown,time | shown | shown | expiry,shown,time | shown,time
market            | cancel_oldest      | ok | time | ok | ok | expiry,time | time
market            | cancel_both        | ok | time | ok | ok | expiry,time | time
market            | decrement          | ok | time | ok | ok | expiry,time | time
stop              | nothing else       | ok
stop              | no quantity        | !size
stop              | no stop_price      | stop
stop              | price              | price
stop              | trailing_delta     | delta
stop              | quote_quantity     | quote
stop              | quote in its place | quote
stop              | the wrong expiry   | expiry
stop              | post_only          | post
stop              | display_quantity   | shown
stop              | all displayed      | shown
stop              | too much displayed | shown
stop              | cancel_oldest      | ok
stop              | cancel_both        | ok
stop              | decrement          | ok
stop_limit        | nothing else       | ok
stop_limit        | no quantity        | !size
stop_limit        | no price           | !price
stop_limit        | no stop_price      | stop
stop_limit        | trailing_delta     | delta
stop_limit        | quote_quantity     | quote
stop_limit        | quote in its place | quote
stop_limit        | the wrong expiry   | expiry
stop_limit        | post_only          | post
stop_limit        | display_quantity   | ok | ok | shown | shown | ok | ok
stop_limit        | all displayed      | ok | ok | shown | shown | ok | ok
stop_limit        | too much displayed | shown | shown | shown,shown | shown,shown | shown | shown
stop_limit        | cancel_oldest      | ok
stop_limit        | cancel_both        | ok
stop_limit        | decrement          | ok
take_profit       | nothing else       | ok
take_profit       | no quantity        | !size
take_profit       | no stop_price      | stop
take_profit       | price              | price
take_profit       | trailing_delta     | delta
take_profit       | quote_quantity     | quote
take_profit       | quote in its place | quote
take_profit       | the wrong expiry   | expiry
take_profit       | post_only          | post
take_profit       | display_quantity   | shown
take_profit       | all displayed      | shown
take_profit       | too much displayed | shown
take_profit       | cancel_oldest      | ok
take_profit       | cancel_both        | ok
take_profit       | decrement          | ok
take_profit_limit | nothing else       | ok
take_profit_limit | no quantity        | !size
take_profit_limit | no price           | !price
take_profit_limit | no stop_price      | stop
take_profit_limit | trailing_delta     | delta
take_profit_limit | quote_quantity     | quote
take_profit_limit | quote in its place | quote
take_profit_limit | the wrong expiry   | expiry
take_profit_limit | post_only          | post
take_profit_limit | display_quantity   | ok | ok | shown | shown | ok | ok
take_profit_limit | all displayed      | ok | ok | shown | shown | ok | ok
take_profit_limit | too much displayed | shown | shown | shown,shown | shown,shown | shown | shown
take_profit_limit | cancel_oldest      | ok
take_profit_limit | cancel_both        | ok
take_profit_limit | decrement          | ok
trailing_stop     | nothing else       | ok
trailing_stop     | no quantity        | !size
trailing_stop     | no trailing_delta  | delta
trailing_stop     | price              | price
trailing_stop     | stop_price         | stop
trailing_stop     | quote_quantity     | quote
trailing_stop     | quote in its place | quote
trailing_stop     | the wrong expiry   | expiry
trailing_stop     | post_only          | post
trailing_stop     | display_quantity   | shown
trailing_stop     | all displayed      | shown
trailing_stop     | too much displayed | shown
trailing_stop     | cancel_oldest      | ok
trailing_stop     | cancel_both        | ok
trailing_stop     | decrement          | ok
"""
"""For each time in force of TIMES (one for all where they agree): ok, or the fields that order.combination names.

With an exclamation mark the fields are those that request.invalid names; some have a short name here.
"""
SHORT = {
    "time": "time_in_force", "expiry": "expire_time", "shown": "display_quantity", "quote": "quote_quantity",
    "delta": "trailing_delta", "stop": "stop_price", "post": "post_only", "size": "quantity",
}  # fmt: skip


def cases() -> list[Any]:
    found = []
    for line in TABLE.strip().splitlines():
        kind, change, *outcomes = (part.strip() for part in line.split("|"))
        for time, outcome in zip(TIMES, outcomes * 6 if len(outcomes) == 1 else outcomes, strict=True):
            found.append(pytest.param(kind, change, time, outcome, id=f"{kind}-{time or 'default'}-{change}"))
    return found


def body_of(kind: str, change: str, time: str | None) -> dict[str, Any]:
    body = {"symbol": "BTC-USD", "side": "buy", "type": kind, "time_in_force": time, **BARE[kind]}
    if time == "gtd":
        body["expire_time"] = LATER
    body |= CHANGES[change]
    if time == "gtd" and change == "the wrong expiry":
        del body["expire_time"]
    return body


@pytest.mark.parametrize(("kind", "change", "time", "outcome"), cases())
def test_an_order_is_well_formed_or_names_what_does_not_go_together(
    kind: str, change: str, time: str | None, outcome: str
) -> None:
    body = body_of(kind, change, time)
    if outcome == "ok":
        assert order_form(body).type == kind
        return
    with pytest.raises(Rejected) as raised:
        order_form(body)

    code = "request.invalid" if outcome.startswith("!") else "order.combination"
    assert (raised.value.status, raised.value.code) == (422, code)
    assert [field for field, _ in raised.value.fields] == [
        SHORT.get(name, name) for name in outcome.removeprefix("!").split(",")
    ]


@pytest.mark.parametrize("kind", [kind for kind in BARE if kind != "market"])
def test_a_quote_quantity_is_for_market_orders_only(kind: str) -> None:
    with pytest.raises(Rejected) as raised:
        order_form(body_of(kind, "quote in its place", None))

    assert raised.value.fields == (("quote_quantity", f"does not go with type {kind}"),)


@pytest.mark.parametrize("change", ["quote_quantity", "quote in its place"])
def test_only_a_buyer_says_what_to_spend(change: str) -> None:
    with pytest.raises(Rejected) as raised:
        order_form({**body_of("market", change, None), "side": "sell"})

    assert (raised.value.code, raised.value.fields[-1]) == (
        "order.combination",
        ("quote_quantity", "goes with side buy only"),
    )


def test_the_table_has_every_change_that_makes_sense_for_a_type() -> None:
    rows = {(kind, change) for kind, change, *_ in (case.values for case in cases())}

    for kind, bare in BARE.items():
        for change in CHANGES:
            is_vain = change in bare or (change.startswith("no ") and change[3:] not in bare)
            assert ((kind, change) in rows) is not is_vain
