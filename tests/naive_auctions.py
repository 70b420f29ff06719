"""The rules of auctions, bands, tiers and account states once more, as plainly as they can be; it shares no code."""


def naive_price(
    bids: list[tuple[int, int]], asks: list[tuple[int, int]], reference: int | None
) -> tuple[int, int, int] | None:
    """Try every price there is; return price, lots and surplus of the best."""
    prices = [price for price, _ in bids + asks]
    best = None
    for price in range(min(prices, default=1), max(prices, default=0) + 1):
        bid = sum(lots for at, lots in bids if at >= price)
        asked = sum(lots for at, lots in asks if at <= price)
        distance = 0 if reference is None else abs(price - reference)
        rank = (-min(bid, asked), abs(bid - asked), distance, price)
        if min(bid, asked) and (best is None or rank < best[0]):
            best = (rank, (price, min(bid, asked), bid - asked))
    return None if best is None else best[1]
