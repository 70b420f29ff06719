"""The engine's administration: assets, accounts, keys and markets, and what may not be created."""

from typing import Any

import pytest

from exchange.commands import (
    AdvanceTime,
    ChangeMarket,
    CreateAccount,
    CreateApiKey,
    CreateAsset,
    CreateMarket,
    DeleteApiKey,
)
from exchange.events import (
    AccountCreated,
    ApiKeyCreated,
    ApiKeyDeleted,
    AssetCreated,
    MarketChanged,
    MarketCreated,
    TimeAdvanced,
)
from exchange.markets import Asset, MarketStatus
from matching_service.engine import Copy, Engine, Refusal
from tests.engines import SYMBOL, Desk, market

NOT_FOUND = Refusal("resource.not_found", "There is no such object.")


def key(name: str, account: str = "alice", request_id: str = "request") -> CreateApiKey:
    return CreateApiKey(request_id, account, name, "sealed", ("read", "trade"), ())


def test_creations_tell_what_was_created() -> None:
    desk = Desk("")

    assert desk.do(CreateAsset("ETH", 8)) == [AssetCreated(Asset("ETH", 8))]
    assert desk.do(CreateAccount("r1", "alice", "Alice")) == [AccountCreated("alice", "Alice")]
    assert desk.do(key("k1")) == [ApiKeyCreated("k1", "alice")]
    listed = market(symbol="ETH-USD", base="ETH", base_decimals=8)
    assert desk.do(CreateMarket(listed)) == [MarketCreated(listed)]


def test_what_was_created_is_among_the_changes_with_its_sequence() -> None:
    desk = Desk("")
    desk.do(CreateAsset("ETH", 8))
    desk.do(CreateAccount("r1", "alice", "Alice"))
    desk.do(key("k1"))
    desk.do(CreateMarket(market(symbol="ETH-USD", base="ETH", base_decimals=8)))

    changes = desk.engine.take_changes()

    assert [(listed.asset.asset, listed.created_sequence) for listed in changes.assets] == [("ETH", 4)]
    assert [(account.account_id, account.created_sequence) for account in changes.accounts] == [("alice", 5)]
    assert [(api_key.created.api_key, api_key.created_sequence) for api_key in changes.api_keys] == [("k1", 6)]
    assert [(live.settings.symbol, live.created_sequence) for live in changes.markets] == [("ETH-USD", 7)]


def test_a_symbol_that_exists_is_a_copy_of_its_creation_whatever_else_is_asked() -> None:
    desk = Desk("")

    assert desk.refused(CreateMarket(market(min_notional=7))) == Copy(3)


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        ({"base": "DOGE"}, "base"),
        ({"base_decimals": 3}, "base"),
        ({"quote": "EUR"}, "quote"),
        ({"quote": "BTC", "quote_decimals": 2}, "quote"),
        ({"lot_size": 10**15}, "lot_size"),
        ({"tick_size": 10**15}, "tick_size"),
        ({"max_quantity": 0}, "max_quantity"),
        ({"max_quantity": 10**18}, "max_quantity"),
        ({"min_notional": 10**18}, "min_notional"),
        ({"maker_fee_rate": 10**9}, "maker_fee_rate"),
        ({"taker_fee_rate": -1}, "taker_fee_rate"),
    ],
)
def test_a_market_that_could_not_be_exact_or_bounded_leaves_no_trace(settings: dict[str, Any], field: str) -> None:
    desk = Desk("")

    refusal = desk.refused(CreateMarket(market(**{"symbol": "NEW-USD", **settings})))

    assert isinstance(refusal, Refusal)
    assert (refusal.code, refusal.field) == ("request.invalid", field)


def test_a_change_of_a_market_changes_what_is_given_and_nothing_else() -> None:
    desk = Desk("", min_notional=5)

    events = desk.do(ChangeMarket("r", SYMBOL, status=MarketStatus.HALTED, taker_fee_rate=7))

    expected = market(min_notional=5, status=MarketStatus.HALTED, taker_fee_rate=7)
    assert events == [MarketChanged(expected)]
    assert [live.settings for live in desk.engine.take_changes().markets] == [expected]


def test_a_change_of_an_unknown_market_or_beyond_the_bounds_leaves_no_trace() -> None:
    desk = Desk("")

    assert desk.refused(ChangeMarket("r", "DOGE-USD", min_notional=1)) == NOT_FOUND
    refusal = desk.refused(ChangeMarket("r", SYMBOL, max_quantity=10**18))
    assert isinstance(refusal, Refusal)
    assert refusal.field == "max_quantity"


def test_a_key_needs_an_account_and_can_be_deleted_once() -> None:
    desk = Desk("alice")
    desk.do(key("k1"))

    assert desk.refused(key("k2", "nobody", "r2")) == NOT_FOUND
    assert desk.do(DeleteApiKey("r3", "k1")) == [ApiKeyDeleted("k1", "alice")]
    assert desk.refused(DeleteApiKey("r4", "k1")) == NOT_FOUND
    assert desk.refused(DeleteApiKey("r4", "unknown")) == NOT_FOUND


def test_a_deleted_key_is_among_the_changes_and_no_more_in_the_state() -> None:
    desk = Desk("alice")
    desk.do(key("k1"))
    desk.engine.take_changes()

    desk.do(DeleteApiKey("r", "k1"))

    assert [(api_key.created.api_key, api_key.deleted) for api_key in desk.engine.take_changes().api_keys] == [
        ("k1", True)
    ]
    assert list(desk.engine.snapshot().api_keys) == []


@pytest.mark.parametrize("again", [key("other"), CreateAccount("request", "other", "other")])
def test_a_request_is_applied_once_whatever_it_asks_the_second_time(again: CreateApiKey | CreateAccount) -> None:
    desk = Desk("alice")
    desk.do(key("k1"))

    assert desk.refused(again) == Copy(desk.engine.sequence)


def test_time_advances_by_a_command_of_its_own() -> None:
    desk = Desk("")

    assert desk.refused(AdvanceTime()) is None
    assert desk.do(AdvanceTime()) == [TimeAdvanced()]


def test_restored_administration_equals_the_live_one() -> None:
    desk = Desk("alice bob", min_notional=5)
    desk.do(key("k1"))
    desk.do(key("k2", "bob", "r2"))
    desk.do(DeleteApiKey("r3", "k1"))
    desk.do(ChangeMarket("r4", SYMBOL, status=MarketStatus.HALTED))

    again = Engine.restore(desk.engine.snapshot())

    assert dict(again.state_records()) == dict(desk.engine.state_records())
    assert again.markets() == desk.engine.markets()
    assert again.examine(key("other", request_id="r2")) == desk.engine.examine(key("other", request_id="r2"))
