"""Administration over HTTP, from the load balancer's event to the real engine and back."""

from collections.abc import Iterator
from typing import Any

import pytest

from exchange import search
from tests.alb import Key, Reply, asked, event
from tests.edge import KEYS, Edge, edge
from tests.search_server import search_server


@pytest.fixture(scope="module")
def floor() -> Iterator[Edge]:
    with edge() as made:
        yield made


def admin(floor: Edge, method: str, path: str, body: Any = None) -> Reply:
    return floor.call("admin", method, f"/v1/admin/{path}", body)


def new_key(floor: Edge, **fields: Any) -> Key:
    created = admin(floor, "POST", "accounts/acc_alice/api-keys", fields)
    assert created.status == 201, created.body
    return Key(created.body["api_key"], created.body["secret"])


def account_of(floor: Edge, key: Key, address: str = "192.0.2.7") -> Reply:
    return floor.send(event("GET", "/v1/account", key=key, address=address))


def test_an_asset_is_created_once(floor: Edge) -> None:
    assert admin(floor, "POST", "assets", {"asset": "DOGE", "decimals": 6}).body == {"asset": "DOGE", "decimals": 6}

    copy = admin(floor, "POST", "assets", {"asset": "DOGE", "decimals": 6})
    other = admin(floor, "POST", "assets", {"asset": "DOGE", "decimals": 7})

    assert (copy.status, copy.body) == (201, {"asset": "DOGE", "decimals": 6, "replayed": True})
    assert (other.status, other.body["code"]) == (409, "admin.duplicate_mismatch")
    assert {"asset": "DOGE", "decimals": 6} in floor.call(None, "GET", "/v1/assets").body["data"]


def test_the_same_bytes_sent_twice_create_one_account(floor: Edge) -> None:
    given = event("POST", "/v1/admin/accounts", {"name": "Carol & Söhne"}, key=KEYS["admin"])

    first, copy = floor.send(given), floor.send(given)
    other = admin(floor, "POST", "accounts", {"name": "Carol & Söhne", "name ": "x"})

    assert first.status == 201
    assert first.body == {"account_id": first.body["account_id"], "name": "Carol & Söhne", "status": "active"}
    assert copy.body == {**first.body, "replayed": True}
    assert other.status == 422


def test_a_new_account_can_be_funded_and_trade(floor: Edge) -> None:
    account_id = admin(floor, "POST", "accounts", {"name": "dora"}).body["account_id"]
    deposit = {"asset": "USD", "amount": "1000.5", "reference": "wire 1"}
    admin(floor, "POST", f"accounts/{account_id}/deposits", deposit)
    created = admin(floor, "POST", f"accounts/{account_id}/api-keys", {"scopes": ["read", "trade"]}).body
    key = Key(created["api_key"], created["secret"])
    order = {"symbol": "BTC-USD", "side": "buy", "type": "limit", "price": "1.00", "quantity": "1"}

    placed = floor.send(event("POST", "/v1/orders", order, key=key))

    assert placed.status == 201
    assert floor.send(event("GET", "/v1/balances", key=key)).body["data"] == [
        {"asset": "USD", "available": "999.50000000", "held": "1.00000000", "total": "1000.50000000"}
    ]


def test_a_transfer_s_reference_is_used_once_for_each_kind(floor: Edge) -> None:
    transfer = {"asset": "BTC", "amount": "1.50", "reference": "r-1"}
    first = admin(floor, "POST", "accounts/acc_bob/deposits", transfer)

    copy = admin(floor, "POST", "accounts/acc_bob/deposits", {**transfer, "amount": "1.5"})
    other = admin(floor, "POST", "accounts/acc_bob/deposits", {**transfer, "amount": "1.6"})
    out = admin(floor, "POST", "accounts/acc_bob/withdrawals", transfer)

    assert (first.status, first.body["amount"], first.body["kind"]) == (201, "1.50000000", "deposit")
    assert copy.body == {**first.body, "replayed": True}
    assert (other.status, other.body["code"]) == (409, "admin.duplicate_mismatch")
    assert (out.status, out.body["kind"]) == (201, "withdrawal")


def test_more_than_is_available_is_not_paid_out(floor: Edge) -> None:
    transfer = {"asset": "BTC", "amount": "1000000", "reference": "too-much"}

    reply = admin(floor, "POST", "accounts/acc_bob/withdrawals", transfer)

    assert (reply.status, reply.body["code"]) == (422, "order.insufficient_funds")


def test_a_copy_of_a_key_s_creation_shows_the_first_secret(floor: Edge) -> None:
    given = event("POST", "/v1/admin/accounts/acc_alice/api-keys", {"scopes": ["read"]}, key=KEYS["admin"])

    first, copy = floor.send(given), floor.send(given)

    assert copy.body == {**first.body, "replayed": True}
    assert account_of(floor, Key(copy.body["api_key"], copy.body["secret"])).status == 200


def test_a_key_bound_to_addresses_serves_from_these_only(floor: Edge) -> None:
    key = new_key(floor, scopes=["read"], ip_allow_list=["198.51.100.0/24", "2001:db8::1"])

    assert account_of(floor, key, "198.51.100.77").status == 200
    assert account_of(floor, key, "2001:db8::1").status == 200
    assert account_of(floor, key, "192.0.2.7").body["code"] == "auth.forbidden"


@pytest.mark.parametrize("allowed", ["::ffff:198.51.100.77", "::ffff:198.51.100.0/120"])
def test_an_ipv4_address_written_as_ipv6_lets_its_owner_in(floor: Edge, allowed: str) -> None:
    key = new_key(floor, scopes=["read"], ip_allow_list=[allowed])

    assert account_of(floor, key, "198.51.100.77").status == 200
    assert account_of(floor, key, "::ffff:198.51.100.77").status == 200
    assert account_of(floor, key, "198.51.101.77").body["code"] == "auth.forbidden"


def test_a_deleted_key_is_told_so_when_it_is_read_anew(floor: Edge) -> None:
    key = new_key(floor, scopes=["read"])

    deleted = admin(floor, "DELETE", f"api-keys/{key.api_key}")
    again = floor.call("admin", "DELETE", f"/v1/admin/api-keys/{key.api_key}", timestamp=None)

    assert (deleted.status, deleted.body) == (200, {"api_key": key.api_key, "deleted": True})
    assert again.status in (200, 404)
    reply = account_of(floor, key)
    assert (reply.status, reply.body["code"]) == (401, "auth.invalid_key")


def test_a_market_is_created_changed_and_shown(floor: Edge) -> None:
    market = {
        "symbol": "ETH-BTC", "base": "ETH", "quote": "BTC", "tick_size": "0.0001", "lot_size": "0.001",
        "min_notional": "0.0001", "max_quantity": "500", "taker_fee_rate": "0.002",
    }  # fmt: skip
    created = admin(floor, "POST", "markets", market)
    copy = admin(floor, "POST", "markets", {**market, "max_quantity": "500.000", "status": "open"})
    other = admin(floor, "POST", "markets", {**market, "max_quantity": "501"})
    changed = admin(floor, "PATCH", "markets/ETH-BTC", {"status": "cancel_only", "max_quantity": "400"})

    assert created.status == 201
    assert created.body == {
        **market,
        "status": "open",
        "min_notional": "0.00010000",
        "max_quantity": "500.000",
        "maker_fee_rate": "0",
        "fee_tiers": [],
        "price_band": None,
        "reference": "moving",
        "volatility_auction_ms": 30000,
        "cell": 1,
        "home_region": "local",
    }
    assert copy.body == {**created.body, "replayed": True}
    assert (other.status, other.body["code"]) == (409, "admin.duplicate_mismatch")
    assert changed.body == {**created.body, "status": "cancel_only", "max_quantity": "400.000"}
    assert floor.call(None, "GET", "/v1/markets/ETH-BTC").body == changed.body


def test_an_order_for_a_closed_market_is_refused(floor: Edge) -> None:
    admin(floor, "PATCH", "markets/SOL-USD", {"status": "halted"})
    order = {"symbol": "SOL-USD", "side": "buy", "type": "limit", "price": "1.000", "quantity": "1"}

    reply = floor.call("alice", "POST", "/v1/orders", order)

    assert (reply.status, reply.body["code"]) == (422, "order.market_closed")
    admin(floor, "PATCH", "markets/SOL-USD", {"status": "open"})
    assert floor.call("alice", "POST", "/v1/orders", order).status == 201


def test_a_search_finds_what_was_indexed() -> None:
    with search_server() as url, edge(SEARCH_URL=url) as floor:
        index = search.client(url)
        search.install_templates(index)
        placed = {"symbol": "BTC-USD", "side": "buy", "type": "limit", "price": "1.00", "quantity": "1"}
        orders = [floor.call("alice", "POST", "/v1/orders", placed).body["order"] for _ in range(2)]
        for order in orders:
            index.index(index="orders-2026-11", id=order["order_id"], body=order, params={"refresh": "true"})

        first = floor.call("admin", "GET", "/v1/admin/search/orders", query={"account_id": "acc_alice", "limit": "1"})
        rest = floor.call(
            "admin",
            "GET",
            "/v1/admin/search/orders",
            query={"account_id": "acc_alice", "limit": "1", "cursor": first.body["next_cursor"]},
        )

        assert [*first.body["data"], *rest.body["data"]] == list(reversed(orders))
        assert rest.body["next_cursor"] is None
        assert floor.call("admin", "GET", "/v1/admin/search/trades").body == {"data": [], "next_cursor": None}
        assert floor.call(None, "GET", "/v1/health").body["components"]["search"] == "ok"
        index.close()
        floor.admin.search_client().close()


def test_a_search_without_an_index_is_unavailable_and_says_that_nothing_happened(floor: Edge) -> None:
    reply = asked(floor.admin, event("GET", "/v1/admin/search/orders", key=KEYS["admin"]))

    assert (reply.status, reply.body["execution"]) == (503, "none")
