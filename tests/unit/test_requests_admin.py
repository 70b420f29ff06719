"""What operators ask for: the forms, and the commands that come of them."""

from typing import Any

import pytest

from exchange.commands import ChangeMarket, CreateMarket, Transfer
from exchange.errors import Rejected
from exchange.forms import form_of
from exchange.markets import Asset, FeeTier, Market, MarketStatus, ReferencePolicy
from exchange.requests_admin import (
    AccountForm,
    AccountStatusForm,
    AssetForm,
    TransferForm,
    account_id_of,
    api_key_form,
    transfer,
)
from exchange.requests_admin_markets import MarketChangeForm, MarketForm, change_market, create_market

BTC, USD = Asset("BTC", 8), Asset("USD", 8)
MARKET: dict[str, Any] = {
    "symbol": "BTC-USD",
    "base": "BTC",
    "quote": "USD",
    "tick_size": "0.01",
    "lot_size": "0.00001",
    "min_notional": "1",
    "max_quantity": "1000",
    "maker_fee_rate": "0.001",
    "taker_fee_rate": "0.0025",
}
LISTED = Market("BTC-USD", "BTC", "USD", MarketStatus.OPEN, 10**16, 10**13, 0, 10**8, 0, 0, None, 1, "local", 8, 8)
ASSET = {"asset": "BTC", "decimals": 8}
TIER = {"volume": "1000", "maker_fee_rate": "0.0005", "taker_fee_rate": "0.001"}
DEPOSIT = {"asset": "BTC", "amount": "1.5", "reference": "wire-1"}


def each(kind: Any, body: dict[str, Any], field: str, *values: Any) -> list[tuple[Any, dict[str, Any], str]]:
    return [(kind, {**body, field: value}, field) for value in values]


def refusal(kind: Any, body: Any) -> Rejected:
    with pytest.raises(Rejected) as raised:
        form_of(kind, body)
    return raised.value


def created(body: dict[str, Any]) -> CreateMarket:
    return create_market(form_of(MarketForm, body), BTC, USD, 1, "local")


def changed(body: dict[str, Any]) -> ChangeMarket:
    return change_market(form_of(MarketChangeForm, body), LISTED, "x_1")


@pytest.mark.parametrize(
    ("kind", "body", "field"),
    [
        *each(AssetForm, ASSET, "asset", "", "btc", "A" * 17, "B-C", "É", 1, None),
        *each(AssetForm, ASSET, "decimals", -1, 19, "8", 8.0, True, None, []),
        *each(AccountForm, {}, "name", "", " ", "a" * 101, "a\nb", "a\x00b", 1, None, []),
        *each(AccountForm, {"name": "x"}, "status", "active"),
        *each(AccountStatusForm, {}, "status", "", "closed", "Active", 1, None),
        *each(TransferForm, DEPOSIT, "amount", 1, "0", "0.0", "-1", "", "1e3", None),
        *each(TransferForm, DEPOSIT, "reference", "", "a" * 129, "a\tb", 1, None),
        *each(TransferForm, DEPOSIT, "asset", "", "btc", 1, None),
        *each(TransferForm, DEPOSIT, "note", "x"),
        *each(MarketForm, MARKET, "tick_size", "0", 1, None, ""),
        *each(MarketForm, MARKET, "lot_size", "0", 1, None, "1."),
        *each(MarketForm, MARKET, "max_quantity", "0", 1, None),
        *each(MarketForm, MARKET, "min_notional", 1, None, "-1"),
        *each(MarketForm, MARKET, "symbol", 1, None),
        *each(MarketForm, MARKET, "base", "btc", 1, None),
        *each(MarketForm, MARKET, "status", "", "closed", "Open", 1, None),
        *each(MarketForm, MARKET, "cell", "1", 1.0, True),
        *each(MarketForm, MARKET, "home_region", "Nowhere!", "", 1),
        *each(MarketChangeForm, {}, "symbol", "BTC-USD"),
        *each(MarketChangeForm, {}, "tick_size", "0.01"),
        *each(MarketChangeForm, {}, "lot_size", "0.01"),
        *each(MarketChangeForm, {}, "max_quantity", "0", 5, ""),
        *each(MarketChangeForm, {}, "price_band", "0", "-0.1", 0.1, ""),
        *each(MarketChangeForm, {}, "reference", "", "last", "Moving", 1),
        *each(MarketChangeForm, {}, "volatility_auction_ms", 0, -1, 86_400_001, "1000", 1.5, True),
        *each(MarketChangeForm, {}, "maker_fee_rate", "--1", "-", "-0", "+1", "- 1", -1),
        *each(MarketChangeForm, {}, "taker_fee_rate", "-0.1"),
        *each(MarketChangeForm, {}, "fee_tiers", "", {}, 1, [TIER] * 21),
    ],
)
def test_a_bad_field_is_refused_by_name(kind: Any, body: Any, field: str) -> None:
    refused = refusal(kind, body)

    assert (refused.status, refused.code, [name for name, _ in refused.fields]) == (422, "request.invalid", [field])


@pytest.mark.parametrize(("kind", "body"), [(AssetForm, ASSET), (TransferForm, DEPOSIT), (MarketForm, MARKET)])
def test_a_missing_field_is_refused_by_name(kind: Any, body: dict[str, Any]) -> None:
    optional = {"maker_fee_rate", "taker_fee_rate"}
    for field in body.keys() - optional:
        refused = refusal(kind, {name: body[name] for name in body if name != field})

        assert refused.fields == ((field, "is required"),)


def test_a_market_becomes_integers() -> None:
    assert created(MARKET) == CreateMarket(
        Market(
            symbol="BTC-USD",
            base="BTC",
            quote="USD",
            status=MarketStatus.OPEN,
            tick_size=10**16,
            lot_size=10**13,
            min_notional=10**8,
            max_quantity=10**8,
            maker_fee_rate=1_000_000,
            taker_fee_rate=2_500_000,
            price_band=None,
            cell=1,
            home_region="local",
            base_decimals=8,
            quote_decimals=8,
        )
    )


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"symbol": "BTCUSD"}, "symbol"),
        ({"symbol": "USD-BTC"}, "symbol"),
        ({"quote": "BTC", "symbol": "BTC-BTC"}, "quote"),
        ({"cell": 2}, "cell"),
        ({"lot_size": "0.000000001"}, "lot_size"),
        ({"tick_size": "0.0001"}, "tick_size"),
        ({"max_quantity": "0.000001"}, "max_quantity"),
        ({"max_quantity": "10000000000"}, "max_quantity"),
        ({"min_notional": "0.000000001"}, "min_notional"),
        ({"min_notional": "10000000000"}, "min_notional"),
        ({"maker_fee_rate": "1"}, "maker_fee_rate"),
        ({"taker_fee_rate": "0.0000000001"}, "taker_fee_rate"),
    ],
)
def test_a_market_that_could_not_be_is_refused_by_name(change: dict[str, Any], field: str) -> None:
    with pytest.raises(Rejected) as raised:
        created({**MARKET, **change})

    assert (raised.value.status, raised.value.code) == (422, "request.invalid")
    assert [name for name, _ in raised.value.fields] == [field]


@pytest.mark.parametrize(("base", "quote", "field"), [(None, USD, "base"), (BTC, None, "quote")])
def test_a_market_of_an_unknown_asset_is_refused_by_name(base: Asset | None, quote: Asset | None, field: str) -> None:
    with pytest.raises(Rejected) as raised:
        create_market(form_of(MarketForm, MARKET), base, quote, 1, "local")

    assert [name for name, _ in raised.value.fields] == [field]


def test_only_what_is_given_of_a_market_changes() -> None:
    assert changed({"status": "halted", "taker_fee_rate": "0"}) == ChangeMarket(
        "x_1", "BTC-USD", status=MarketStatus.HALTED, taker_fee_rate=0
    )
    assert changed({"min_notional": "2", "max_quantity": "3"}) == ChangeMarket(
        "x_1", "BTC-USD", min_notional=2 * 10**8, max_quantity=300_000
    )


@pytest.mark.parametrize(
    "name",
    [
        "status", "min_notional", "max_quantity", "maker_fee_rate", "taker_fee_rate", "reference",
        "volatility_auction_ms", "fee_tiers",
    ],
)  # fmt: skip
def test_a_setting_that_every_market_has_cannot_become_null(name: str) -> None:
    with pytest.raises(Rejected) as raised:
        changed({name: None, "price_band": None})

    assert (raised.value.status, raised.value.fields) == (422, ((name, "must not be null"),))


def test_a_market_s_band_reference_auction_and_tiers_become_integers() -> None:
    market = created(
        {**MARKET, "status": "auction", "price_band": "0.05", "reference": "last_auction",
         "volatility_auction_ms": 5000, "maker_fee_rate": "-0.0025", "fee_tiers": [TIER]}
    ).market  # fmt: skip

    assert (market.status, market.price_band, market.reference) == (
        MarketStatus.AUCTION, 50_000_000, ReferencePolicy.LAST_AUCTION,
    )  # fmt: skip
    assert (market.volatility_auction_ms, market.maker_fee_rate) == (5000, -2_500_000)
    assert market.fee_tiers == (FeeTier(100_000_000_000, 500_000, 1_000_000),)


def test_a_band_is_changed_or_taken_away_and_tiers_are_replaced_whole() -> None:
    assert changed({"price_band": "0.1"}) == ChangeMarket("x_1", "BTC-USD", price_band=100_000_000)
    assert changed({"price_band": None}) == ChangeMarket("x_1", "BTC-USD", clears_price_band=True)
    assert changed({"fee_tiers": []}) == ChangeMarket("x_1", "BTC-USD", fee_tiers=())
    assert changed({"reference": "moving", "volatility_auction_ms": 1}) == ChangeMarket(
        "x_1", "BTC-USD", reference=ReferencePolicy.MOVING, volatility_auction_ms=1
    )


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"price_band": "1"}, "price_band"),
        ({"price_band": "0.0000000001"}, "price_band"),
        ({"maker_fee_rate": "-1"}, "maker_fee_rate"),
        ({"maker_fee_rate": "-0.002", "taker_fee_rate": "0.001"}, "maker_fee_rate"),
        ({"fee_tiers": [{**TIER, "maker_fee_rate": "-0.002"}]}, "fee_tiers.0.maker_fee_rate"),
        ({"fee_tiers": [TIER, TIER]}, "fee_tiers.1.volume"),
        ({"fee_tiers": [TIER, {**TIER, "volume": "999"}]}, "fee_tiers.1.volume"),
        ({"fee_tiers": [TIER, {**TIER, "volume": "0.000000001"}]}, "fee_tiers.1.volume"),
        ({"fee_tiers": [TIER, {**TIER, "volume": "2000", "taker_fee_rate": "1"}]}, "fee_tiers.1.taker_fee_rate"),
        ({"fee_tiers": [{**TIER, "volume": "0"}]}, "fee_tiers.0.volume"),
        ({"fee_tiers": [{**TIER, "volume": 1}]}, "fee_tiers.0.volume"),
        ({"fee_tiers": [{**TIER, "name": "vip"}]}, "fee_tiers.0.name"),
        ({"fee_tiers": [{}]}, "fee_tiers.0.volume"),
    ],
)
def test_rates_that_could_not_be_are_refused_by_name(change: dict[str, Any], field: str) -> None:
    for attempt in (lambda: created({**MARKET, **change}), lambda: changed(change)):
        with pytest.raises(Rejected) as raised:
            attempt()

        assert (raised.value.status, raised.value.code) == (422, "request.invalid")
        assert field in [name for name, _ in raised.value.fields]


def test_a_change_of_nothing_is_refused() -> None:
    with pytest.raises(Rejected) as raised:
        changed({})

    assert raised.value.status == 422


def test_a_transfer_is_in_asset_units() -> None:
    form = form_of(TransferForm, DEPOSIT)

    assert transfer(form, "deposit", "acc_1", BTC) == Transfer("deposit", "acc_1", "BTC", 150_000_000, "wire-1")


@pytest.mark.parametrize("amount", ["0.000000001", "10000000000", "999999999999999999"])
def test_an_amount_that_the_asset_cannot_hold_is_refused(amount: str) -> None:
    with pytest.raises(Rejected) as raised:
        transfer(form_of(TransferForm, {**DEPOSIT, "amount": amount}), "deposit", "acc_1", BTC)

    assert (raised.value.status, [name for name, _ in raised.value.fields]) == (422, ["amount"])


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "scopes"),
        ({"scopes": []}, "scopes"),
        ({"scopes": "read"}, "scopes"),
        ({"scopes": ["write"]}, "scopes.0"),
        ({"scopes": ["read", "read"]}, "scopes"),
        ({"scopes": [1]}, "scopes.0"),
        ({"scopes": ["read"], "ip_allow_list": "10.0.0.1"}, "ip_allow_list"),
        ({"scopes": ["read"], "ip_allow_list": ["10.0.0.256"]}, "ip_allow_list.0"),
        ({"scopes": ["read"], "ip_allow_list": ["10.0.0.1/8"]}, "ip_allow_list.0"),
        ({"scopes": ["read"], "ip_allow_list": ["::1", 5]}, "ip_allow_list.1"),
        ({"scopes": ["read"], "ip_allow_list": ["localhost"]}, "ip_allow_list.0"),
        ({"scopes": ["read"], "ip_allow_list": ["10.0.0.1"] * 51}, "ip_allow_list"),
        ({"scopes": ["read"], "account_id": "acc_1"}, "account_id"),
    ],
)
def test_a_key_that_could_not_be_is_refused_by_name(body: dict[str, Any], field: str) -> None:
    with pytest.raises(Rejected) as raised:
        api_key_form(body)

    assert (raised.value.status, [name for name, _ in raised.value.fields]) == (422, [field])


def test_a_key_may_be_bound_to_addresses_and_networks() -> None:
    form = api_key_form({"scopes": ["read", "trade"], "ip_allow_list": ["10.0.0.0/8", "192.0.2.1", "2001:DB8::/32"]})

    assert form.ip_allow_list == ["10.0.0.0/8", "192.0.2.1", "2001:db8::/32"]


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("::ffff:10.0.0.1", "10.0.0.1"),
        ("::FFFF:0a00:0001", "10.0.0.1"),
        ("::ffff:10.0.0.0/104", "10.0.0.0/8"),
        ("::ffff:10.0.0.1/128", "10.0.0.1/32"),
        ("::ffff:0:0/96", "0.0.0.0/0"),
        ("::10.0.0.1", "::a00:1"),
        ("::/0", "::/0"),
    ],
)
def test_an_ipv4_address_written_as_ipv6_is_kept_as_ipv4(given: str, kept: str) -> None:
    assert api_key_form({"scopes": ["read"], "ip_allow_list": [given]}).ip_allow_list == [kept]


@pytest.mark.parametrize("given", ["fe80::1%eth0", "fe80::1%a b", "::ffff:10.0.0.1/104", "::ffff:0:0/95"])
def test_a_zone_or_bits_beyond_the_network_are_refused(given: str) -> None:
    with pytest.raises(Rejected) as raised:
        api_key_form({"scopes": ["read"], "ip_allow_list": [given]})

    assert [name for name, _ in raised.value.fields] == ["ip_allow_list.0"]


def test_a_copy_of_a_request_creates_the_same_account() -> None:
    assert account_id_of("x_" + "0123456789abcdef" * 2) == "acc_0123456789abcdef01234567"
