"""How far from its reference a market's price may go in one step; it knows no order."""

from exchange.markets import MarketStatus, ReferencePolicy
from matching_service.fees import RATE_ONE
from matching_service.state import LiveMarket

LAST_AUCTION = ReferencePolicy.LAST_AUCTION
OPEN = MarketStatus.OPEN


def reference(market: LiveMarket) -> int | None:
    """Return the price around which the band lies, None before there was one."""
    figures = market.figures
    return figures.reference_ticks if market.settings.reference is LAST_AUCTION else figures.last_price_ticks


def lay(market: LiveMarket) -> None:
    """Lay the band around the reference as it is now: where a command ends, so that it stays during one.

    While orders are collected there is none.
    """
    width, middle = market.settings.price_band, reference(market)
    market.book.band = None
    if width is not None and middle is not None and not market.book.is_collecting:
        market.book.band = (-(-middle * (RATE_ONE - width) // RATE_ONE), middle * (RATE_ONE + width) // RATE_ONE)
    market.is_restricted = market.settings.status is not OPEN or market.book.band is not None
