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
limit             | no quantity        | !quantity
limit             | no price           | !price
limit             | stop_price         | stop_price
limit             | trailing_delta     | trailing_delta
limit             | quote_quantity     | quote_quantity
limit             | quote in its place | quote_quantity
limit             | the wrong expiry   | expire_time
limit             | post_only          | ok | ok | post_only | post_only | ok | ok
limit             | display_quantity   | ok | ok | display_quantity | display_quantity | ok | ok
limit             | all displayed      | ok | ok | display_quantity | display_quantity | ok | ok
limit             | too much displayed | display_quantity | display_quantity | display_quantity,display_quantity | display_quantity,display_quantity | display_quantity | display_quantity
limit             | cancel_oldest      | ok
limit             | cancel_both        | ok
limit             | decrement          | ok
market            | nothing else       | ok | time_in_force | ok | ok | expire_time,time_in_force | time_in_force
market            | no quantity        | !quantity | !quantity,time_in_force | !quantity | !quantity | !quantity,expire_time,time_in_force | !quantity,time_in_force
market            | price              | price | price,time_in_force | price | price | price,expire_time,time_in_force | price,time_in_force
market            | stop_price         | stop_price | stop_price,time_in_force | stop_price | stop_price | stop_price,expire_time,time_in_force | stop_price,time_in_force
market            | trailing_delta     | trailing_delta | trailing_delta,time_in_force | trailing_delta | trailing_delta | trailing_delta,expire_time,time_in_force | trailing_delta,time_in_force
market            | quote_quantity     | quote_quantity | time_in_force,quote_quantity | quote_quantity | quote_quantity | expire_time,time_in_force,quote_quantity | time_in_force,quote_quantity
market            | quote in its place | ok | time_in_force | ok | ok | expire_time,time_in_force | time_in_force
market            | the wrong expiry   | expire_time | expire_time,time_in_force | expire_time | expire_time | time_in_force,expire_time | expire_time,time_in_force
market            | post_only          | post_only | post_only,time_in_force | post_only | post_only | expire_time,post_only,time_in_force | post_only,time_in_force
market            | display_quantity   | display_quantity | display_quantity,time_in_force | display_quantity | display_quantity | expire_time,display_quantity,time_in_force | display_quantity,time_in_force
market            | all displayed      | display_quantity | display_quantity,time_in_force | display_quantity | display_quantity | expire_time,display_quantity,time_in_force | display_quantity,time_in_force
market            | too much displayed | display_quantity | display_quantity,time_in_force | display_quantity | display_quantity | expire_time,display_quantity,time_in_force | display_quantity,time_in_force
market            | cancel_oldest      | ok | time_in_force | ok | ok | expire_time,time_in_force | time_in_force
market            | cancel_both        | ok | time_in_force | ok | ok | expire_time,time_in_force | time_in_force
market            | decrement          | ok | time_in_force | ok | ok | expire_time,time_in_force | time_in_force
stop              | nothing else       | ok
stop              | no quantity        | !quantity
stop              | no stop_price      | stop_price
stop              | price              | price
stop              | trailing_delta     | trailing_delta
stop              | quote_quantity     | quote_quantity
stop              | quote in its place | quote_quantity
stop              | the wrong expiry   | expire_time
stop              | post_only          | post_only
stop              | display_quantity   | display_quantity
stop              | all displayed      | display_quantity
stop              | too much displayed | display_quantity
stop              | cancel_oldest      | ok
stop              | cancel_both        | ok
stop              | decrement          | ok
stop_limit        | nothing else       | ok
stop_limit        | no quantity        | !quantity
stop_limit        | no price           | !price
stop_limit        | no stop_price      | stop_price
stop_limit        | trailing_delta     | trailing_delta
stop_limit        | quote_quantity     | quote_quantity
stop_limit        | quote in its place | quote_quantity
stop_limit        | the wrong expiry   | expire_time
stop_limit        | post_only          | post_only
stop_limit        | display_quantity   | ok | ok | display_quantity | display_quantity | ok | ok
stop_limit        | all displayed      | ok | ok | display_quantity | display_quantity | ok | ok
stop_limit        | too much displayed | display_quantity | display_quantity | display_quantity,display_quantity | display_quantity,display_quantity | display_quantity | display_quantity
stop_limit        | cancel_oldest      | ok
stop_limit        | cancel_both        | ok
stop_limit        | decrement          | ok
take_profit       | nothing else       | ok
take_profit       | no quantity        | !quantity
take_profit       | no stop_price      | stop_price
take_profit       | price              | price
take_profit       | trailing_delta     | trailing_delta
take_profit       | quote_quantity     | quote_quantity
take_profit       | quote in its place | quote_quantity
take_profit       | the wrong expiry   | expire_time
take_profit       | post_only          | post_only
take_profit       | display_quantity   | display_quantity
take_profit       | all displayed      | display_quantity
take_profit       | too much displayed | display_quantity
take_profit       | cancel_oldest      | ok
take_profit       | cancel_both        | ok
take_profit       | decrement          | ok
take_profit_limit | nothing else       | ok
take_profit_limit | no quantity        | !quantity
take_profit_limit | no price           | !price
take_profit_limit | no stop_price      | stop_price
take_profit_limit | trailing_delta     | trailing_delta
take_profit_limit | quote_quantity     | quote_quantity
take_profit_limit | quote in its place | quote_quantity
take_profit_limit | the wrong expiry   | expire_time
take_profit_limit | post_only          | post_only
take_profit_limit | display_quantity   | ok | ok | display_quantity | display_quantity | ok | ok
take_profit_limit | all displayed      | ok | ok | display_quantity | display_quantity | ok | ok
take_profit_limit | too much displayed | display_quantity | display_quantity | display_quantity,display_quantity | display_quantity,display_quantity | display_quantity | display_quantity
take_profit_limit | cancel_oldest      | ok
take_profit_limit | cancel_both        | ok
take_profit_limit | decrement          | ok
trailing_stop     | nothing else       | ok
trailing_stop     | no quantity        | !quantity
trailing_stop     | no trailing_delta  | trailing_delta
trailing_stop     | price              | price
trailing_stop     | stop_price         | stop_price
trailing_stop     | quote_quantity     | quote_quantity
trailing_stop     | quote in its place | quote_quantity
trailing_stop     | the wrong expiry   | expire_time
trailing_stop     | post_only          | post_only
trailing_stop     | display_quantity   | display_quantity
trailing_stop     | all displayed      | display_quantity
trailing_stop     | too much displayed | display_quantity
trailing_stop     | cancel_oldest      | ok
trailing_stop     | cancel_both        | ok
trailing_stop     | decrement          | ok
"""
"""For each time in force of TIMES (one for all where they agree): ok, or the fields that order.combination names.

With an exclamation mark the fields are those that request.invalid names.
"""


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
    assert [field for field, _ in raised.value.fields] == outcome.removeprefix("!").split(",")


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
