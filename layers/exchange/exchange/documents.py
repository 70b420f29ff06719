"""Orders, fills, markets and balances as the JSON documents of the HTTP contract; it formats and decides nothing."""

from typing import Any

from exchange import amounts
from exchange.events import Trade
from exchange.markets import RATE_DECIMALS, Market
from exchange.orders import FillRecord, OrderRecord
from exchange.times import time_text

Document = dict[str, Any]


def order_document(record: OrderRecord, market: Market) -> Document:
    """Print one order."""
    placed = record.placed
    return {
        "order_id": placed.order_id,
        "client_order_id": placed.client_order_id,
        "account_id": placed.account_id,
        "symbol": placed.symbol,
        "side": placed.side,
        "type": placed.type,
        "quantity": _quantity(placed.quantity_lots, market),
        "quote_quantity": _quote(placed.quote_quantity, market),
        "price": _price(placed.price_ticks, market),
        "stop_price": _price(placed.stop_price_ticks, market),
        "trailing_delta": _price(placed.trailing_delta_ticks, market),
        "time_in_force": placed.time_in_force,
        "expire_time": None if placed.expire_time is None else time_text(placed.expire_time),
        "post_only": placed.post_only,
        "display_quantity": _quantity(placed.display_lots, market),
        "self_trade_prevention": placed.self_trade_prevention,
        "queue_deadline_ms": placed.queue_deadline_ms,
        "status": record.status,
        "filled_quantity": market.quantity_text(record.filled_lots),
        "remaining_quantity": _quantity(record.remaining_lots, market),
        "average_price": _average_price(record, market),
        "filled_quote": market.quote_text(record.filled_quote),
        "fees": _fees(record, market),
        "reason": record.reason,
        "sequence": record.sequence,
        "created_time": time_text(record.created_time),
        "updated_time": time_text(record.updated_time),
    }


def fill_document(fill: FillRecord, market: Market) -> Document:
    """Print one fill."""
    fee_decimals = market.base_decimals if fill.fee_asset == market.base else market.quote_decimals
    return {
        "trade_id": fill.trade_id,
        "order_id": fill.order_id,
        "symbol": fill.symbol,
        "side": fill.side,
        "price": market.price_text(fill.price_ticks),
        "quantity": market.quantity_text(fill.quantity_lots),
        "quote": market.quote_text(fill.quote),
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
        "maker_fee_rate": amounts.trimmed(market.maker_fee_rate, RATE_DECIMALS),
        "taker_fee_rate": amounts.trimmed(market.taker_fee_rate, RATE_DECIMALS),
        "price_band": None if market.price_band is None else amounts.trimmed(market.price_band, RATE_DECIMALS),
        "cell": market.cell,
        "home_region": market.home_region,
    }


def _price(price_ticks: int | None, market: Market) -> str | None:
    return None if price_ticks is None else market.price_text(price_ticks)


def _quantity(quantity_lots: int | None, market: Market) -> str | None:
    return None if quantity_lots is None else market.quantity_text(quantity_lots)


def _quote(units: int | None, market: Market) -> str | None:
    return None if units is None else market.quote_text(units)


def _average_price(record: OrderRecord, market: Market) -> str | None:
    if not record.filled_lots:
        return None
    filled_base = record.filled_lots * market.base_units_per_lot
    scaled = record.filled_quote * amounts.POWERS[market.base_decimals]
    return market.quote_text(amounts.divide_half_even(scaled, filled_base))


def _fees(record: OrderRecord, market: Market) -> list[Document]:
    base = (market.base, record.fee_base, market.base_decimals)
    quote = (market.quote, record.fee_quote, market.quote_decimals)
    return [{"asset": asset, "amount": amounts.text(fee, decimals)} for asset, fee, decimals in (base, quote) if fee]
