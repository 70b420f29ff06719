import random
from decimal import Decimal

from client.bots import LEVELS, SIDES, Market, Quoter, Reference, Taker, market_of

BTC_USD = market_of(
    {
        "symbol": "BTC-USD",
        "base": "BTC",
        "quote": "USD",
        "tick_size": "0.01",
        "lot_size": "0.00001",
        "min_notional": "10.00000000",
    },
    Decimal(60_000),
)


def quoter(market: Market = BTC_USD) -> Quoter:
    chance = random.Random(1)
    return Quoter(market, Reference(market, chance), chance)


def test_orders_are_worth_the_usual_value_and_twice_the_least_at_least() -> None:
    dear = market_of(
        {
            "symbol": "BTC-USD",
            "base": "BTC",
            "quote": "USD",
            "tick_size": "0.01",
            "lot_size": "0.00001",
            "min_notional": "1000",
        },
        Decimal(50_000),
    )

    assert BTC_USD.order_quantity == Decimal("0.00334")
    assert dear.order_quantity == Decimal("0.04")


def test_quoter_clears_the_market_before_its_first_quote() -> None:
    action = quoter().next_action()

    assert (action.method, action.path, action.parameters) == ("DELETE", "/v1/orders", {"symbol": "BTC-USD"})


def test_quoter_never_has_more_than_its_levels_resting_on_a_side() -> None:
    bot = quoter()
    resting: set[str] = set()
    for number in range(1000):
        action = bot.next_action()
        if action.method == "POST":
            resting.add(str(number))
            action.answered(201, {"order": {"status": "new", "order_id": str(number)}, "fills": []})
        else:
            resting.discard(action.path.removeprefix("/v1/orders/"))
            action.answered(200, {})

        assert len(resting) <= 2 * LEVELS


def test_quoter_clears_the_market_after_an_unknown_outcome() -> None:
    bot = quoter()
    bot.next_action().answered(200, {})
    bot.next_action().answered(0, {})

    action = bot.next_action()

    assert (action.method, action.path) == ("DELETE", "/v1/orders")
    assert [bot.placing[side] for side in SIDES] == [0, 0]


def test_quotes_are_whole_ticks_on_their_side_of_the_reference_price() -> None:
    bot = quoter()
    bot.next_action().answered(200, {})
    documents = [bot.next_action().document for _ in range(10)]

    for document in documents:
        assert document is not None
        price = Decimal(document["price"])
        assert price % Decimal("0.01") == 0
        assert (price < 60_000) == (document["side"] == "buy")


def test_taker_returns_to_where_it_began() -> None:
    chance = random.Random(7)
    bot = Taker(BTC_USD, Reference(BTC_USD, chance), chance)
    furthest = Decimal(0)
    for _ in range(5000):
        action = bot.next_action()
        assert action.document is not None
        action.answered(201, {"order": {"filled_quantity": action.document["quantity"]}, "fills": [{}]})
        furthest = max(furthest, abs(bot.position))

    assert furthest < 40 * BTC_USD.order_quantity
    assert bot.trades == 5000
