"""Orders, fills, markets and balances as the JSON documents of the HTTP contract; it formats and decides nothing."""

from functools import lru_cache
from typing import Any

from exchange import amounts
from exchange.events import Trade
from exchange.markets import RATE_DECIMALS, FeeTier, Market
from exchange.orders import FillRecord, OrderRecord
from exchange.times import time_text

Document = dict[str, Any]


def order_document(record: OrderRecord, market: Market) -> Document:
    """Print one order."""
    placed = record.placed
    tick, lot, quote = _scale(market.tick_size), _scale(market.lot_size), (1, market.quote_decimals)
    created_time = time_text(record.created_time)
    document = {
        "order_id": placed.order_id,
        "client_order_id": placed.client_order_id,
        "account_id": placed.account_id,
        "symbol": placed.symbol,
        "side": placed.side,
        "type": placed.type,
        "quantity": _text(placed.quantity_lots, lot),
        "quote_quantity": _text(placed.quote_quantity, quote),
        "price": _text(placed.price_ticks, tick),
        "stop_price": _text(placed.stop_price_ticks, tick),
        "trailing_delta": _text(placed.trailing_delta_ticks, tick),
        "time_in_force": placed.time_in_force,
        "expire_time": None if placed.expire_time is None else time_text(placed.expire_time),
        "post_only": placed.post_only,
        "display_quantity": _text(placed.display_lots, lot),
        "self_trade_prevention": placed.self_trade_prevention,
        "queue_deadline_ms": placed.queue_deadline_ms,
        "status": record.status,
        "filled_quantity": _text(record.filled_lots, lot),
        "remaining_quantity": _text(record.remaining_lots, lot),
        "average_price": _average_price(record, market),
        "filled_quote": _text(record.filled_quote, quote),
        "fees": _fees(record, market),
        "reason": record.reason,
        "sequence": record.sequence,
        "created_time": created_time,
        "updated_time": created_time if record.updated_time == record.created_time else time_text(record.updated_time),
    }
    if record.prevented_lots:
        document["prevented_quantity"] = _text(record.prevented_lots, lot)
    return document


def fill_document(fill: FillRecord, market: Market) -> Document:
    """Print one fill."""
    fee_decimals = market.base_decimals if fill.fee_asset == market.base else market.quote_decimals
    return {
        "trade_id": fill.trade_id,
        "order_id": fill.order_id,
        "symbol": fill.symbol,
        "side": fill.side,
        "price": _text(fill.price_ticks, _scale(market.tick_size)),
        "quantity": _text(fill.quantity_lots, _scale(market.lot_size)),
        "quote": amounts.text(fill.quote, market.quote_decimals),
        "fee": amounts.text(fill.fee, fee_decimals),
        "fee_asset": fill.fee_asset,
        "liquidity": fill.liquidity,
        "sequence": fill.sequence,
        "time": time_text(fill.time),
    }


def trade_document(cell: int, sequence: int, index: int, time: int, trade: Trade, market: Market) -> Document:
    """Print one public trade."""
    return {
        "trade_id": f"{cell}-{sequence}-{index}",
        "symbol": market.symbol,
        "price": market.price_text(trade.price_ticks),
        "quantity": market.quantity_text(trade.quantity_lots),
        "taker_side": trade.taker_side,
        "sequence": sequence,
        "time": time_text(time),
    }


def public_trade_document(fill: FillRecord, market: Market) -> Document:
    """Print the public trade of which `fill` is the taker's share."""
    return {
        "trade_id": fill.trade_id,
        "symbol": fill.symbol,
        "price": market.price_text(fill.price_ticks),
        "quantity": market.quantity_text(fill.quantity_lots),
        "taker_side": fill.side,
        "sequence": fill.sequence,
        "time": time_text(fill.time),
    }


def market_document(market: Market) -> Document:
    """Print one market."""
    return {
        "symbol": market.symbol,
        "base": market.base,
        "quote": market.quote,
        "status": market.status,
        "tick_size": amounts.trimmed(market.tick_size, amounts.MAX_DECIMALS),
        "lot_size": amounts.trimmed(market.lot_size, amounts.MAX_DECIMALS),
        "min_notional": market.quote_text(market.min_notional),
        "max_quantity": market.quantity_text(market.max_quantity),
        **rates_document(market),
        "fee_tiers": [_tier_document(tier, market) for tier in market.fee_tiers],
        "price_band": None if market.price_band is None else _rate_text(market.price_band),
        "reference": market.reference,
        "volatility_auction_ms": market.volatility_auction_ms,
        "cell": market.cell,
        "home_region": market.home_region,
    }


def indication_members(market: Market, price_ticks: int | None, quantity_lots: int) -> Document:
    """Print what a ticker says beside the rest while its market is in auction: what the auction would do now."""
    return {
        "indicative_price": None if price_ticks is None else market.price_text(price_ticks),
        "indicative_quantity": market.quantity_text(quantity_lots),
    }


def rates_document(of: Market | FeeTier) -> dict[str, str]:
    """Print the rates of a market or of one of its tiers."""
    return {"maker_fee_rate": _rate_text(of.maker_fee_rate), "taker_fee_rate": _rate_text(of.taker_fee_rate)}


def _tier_document(tier: FeeTier, market: Market) -> Document:
    return {"volume": market.quote_text(tier.volume), **rates_document(tier)}


def _rate_text(rate: int) -> str:
    return amounts.trimmed(rate, RATE_DECIMALS)


@lru_cache(1024)
def _scale(step: int) -> tuple[int, int]:
    """Return a step of `step` x 10^-18 in its own last decimal, and how many decimals that is."""
    decimals = amounts.decimals_of(step)
    return step // amounts.POWERS[amounts.MAX_DECIMALS - decimals], decimals


def _text(steps: int | None, scale: tuple[int, int]) -> str | None:
    """Print a number of steps, None as None."""
    return None if steps is None else amounts.text(steps * scale[0], scale[1])


def _average_price(record: OrderRecord, market: Market) -> str | None:
    if not record.filled_lots:
        return None
    filled_base = record.filled_lots * market.base_units_per_lot
    scaled = record.filled_quote * amounts.POWERS[market.base_decimals]
    return market.quote_text(amounts.divide_half_even(scaled, filled_base))


def _fees(record: OrderRecord, market: Market) -> list[Document]:
    if not (record.fee_base or record.fee_quote):
        return []
    base = (market.base, record.fee_base, market.base_decimals)
    quote = (market.quote, record.fee_quote, market.quote_decimals)
    return [{"asset": asset, "amount": amounts.text(fee, decimals)} for asset, fee, decimals in (base, quote) if fee]
