"""The price of an auction: out of what is bid and asked at each price, the one price at which it all trades."""

from collections.abc import Iterable, Iterator

from msgspec import Struct


class Clearing(Struct, frozen=True, gc=False):
    """What an auction would do now: `surplus_lots` of the bids (negative: of the asks) find nobody at its price."""

    price_ticks: int
    quantity_lots: int
    surplus_lots: int


def clearing(
    bids: Iterable[tuple[int, int]], asks: Iterable[tuple[int, int]], reference_ticks: int | None
) -> Clearing | None:
    """Return the price of most volume, then least surplus, then closest to the reference; None where nothing crosses.

    `bids` and `asks` are `(price_ticks, lots)`, each price once, best first, hidden lots included; only those that
    cross are read. Every tick between the best ask and the best bid is a candidate; without a reference the lowest of
    the best is taken. Two prices are never equally close: those of equal rank follow one another.
    """
    found: list[Clearing] = []
    best = (0, 0)
    for first, last, bid, asked in _steps(bids, asks):
        rank = (min(bid, asked), -abs(bid - asked))
        if rank >= best:
            price = first if reference_ticks is None else min(max(reference_ticks, first), last)
            found = [*(found if rank == best else []), Clearing(price, rank[0], bid - asked)]
            best = rank
    if reference_ticks is None:
        return found[0] if found else None
    return min(found, key=lambda each: abs(each.price_ticks - reference_ticks), default=None)


def _steps(bids: Iterable[tuple[int, int]], asks: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int, int, int]]:
    """Yield `(first, last, lots bid, lots asked)` of each range of prices between two steps, from the lowest price."""
    offered = iter(asks)
    lowest = next(offered, None)
    if lowest is None:
        return
    crossing = []
    for price, lots in bids:
        if price < lowest[0]:
            break
        crossing.append((price, lots))
    if not crossing:
        return
    highest = crossing[0][0]
    bid, (first, asked) = sum(lots for _, lots in crossing), lowest
    upcoming = next(offered, None)
    while crossing:
        worst = crossing[-1][0]
        if upcoming is not None and upcoming[0] <= worst:
            if upcoming[0] > first:
                yield first, upcoming[0] - 1, bid, asked
                first = upcoming[0]
            asked += upcoming[1]
            upcoming = next(offered, None)
        else:
            yield first, worst, bid, asked
            first = worst + 1
            bid -= crossing.pop()[1]
    assert first == highest + 1
    assert bid == 0
