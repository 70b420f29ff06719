"""Rows of the tables as the values that every room speaks of; it holds no connection and runs no query.

`ORDER_COLUMNS`, `FILL_COLUMNS` and `MARKET_COLUMNS` are select lists; the functions beside them take rows of these
columns in their order and ignore what a row has beyond them, so that a query may append columns of its own.
"""

from collections.abc import Sequence
from decimal import Context, Decimal, Inexact, InvalidOperation
from typing import Any

from exchange import amounts
from exchange.markets import RATE_DECIMALS, Asset, FeeTier, Market, MarketFigures, MarketStatus, ReferencePolicy
from exchange.orders import (
    FillRecord,
    Liquidity,
    OrderRecord,
    OrderStatus,
    OrderType,
    PlaceOrder,
    SelfTradePrevention,
    Side,
    TimeInForce,
)

Row = Sequence[Any]

ORDER_COLUMNS = (
    "order_id, account_id, client_order_id, symbol, side, type, quantity, quote_quantity, price, stop_price, "
    "trailing_delta, time_in_force, expire_time, post_only, display_quantity, self_trade_prevention, "
    "queue_deadline_ms, status, filled_quantity, remaining_quantity, filled_quote, fee_base, fee_quote, reason, "
    "first_sequence, sequence, created_time, updated_time, displayed_quantity, trigger_price, partner_id, "
    "prevented_quantity"
)
ORDER_SYMBOL = 3
"""The place of `symbol` in `ORDER_COLUMNS`: it says with which market to read the row."""
FILL_COLUMNS = (
    "cell, sequence, index, order_id, account_id, symbol, side, price, quantity, quote, fee, fee_asset, liquidity, "
    "time, is_auction"
)
FILL_SYMBOL = 5
MARKET_COLUMNS = (
    "markets.symbol, markets.base, markets.quote, markets.status, markets.tick_size, markets.lot_size, "
    "markets.min_notional, markets.max_quantity, markets.maker_fee_rate, markets.taker_fee_rate, markets.price_band, "
    "markets.cell, markets.home_region, base_assets.decimals, quote_assets.decimals, markets.reference, "
    "markets.volatility_auction_ms, markets.fee_tiers, markets.status_before_halt"
)
FIGURES_COLUMNS = (
    "coalesce((SELECT fills.price FROM fills WHERE fills.symbol = markets.symbol AND fills.liquidity = 'taker' "
    "ORDER BY fills.sequence DESC, fills.index DESC LIMIT 1), markets.last_price), markets.reference_price, "
    "markets.auction_ends, markets.indicative_price, markets.indicative_quantity, markets.surplus_quantity, "
    "markets.uncrossing_price, markets.fee_day"
)
"""A market's row is not written for every trade: the newest fill, where there is one, knows the last price."""
MARKET_TABLES = (
    "markets JOIN assets base_assets ON base_assets.cell = markets.cell AND base_assets.asset = markets.base "
    "JOIN assets quote_assets ON quote_assets.cell = markets.cell AND quote_assets.asset = markets.quote"
)

_EXACT = Context(prec=80, traps=[Inexact, InvalidOperation])


def units_of(value: Decimal, decimals: int) -> int:
    """Return a numeric as an integer of 10^-decimals; raise `decimal.Inexact` where digits would be lost."""
    return int(_EXACT.to_integral_exact(_EXACT.scaleb(value, decimals)))


def price_ticks(value: Decimal | None, market: Market) -> int | None:
    """Return a price as ticks; None stays None."""
    return None if value is None else units_of(value, market.price_decimals) // market.tick_step


def quantity_lots(value: Decimal | None, market: Market) -> int | None:
    """Return a quantity as lots; None stays None."""
    return None if value is None else units_of(value, market.quantity_decimals) // market.lot_step


def order_from_row(row: Row, market: Market) -> OrderRecord:
    """Read one row of `ORDER_COLUMNS`; `market` is that of its symbol."""
    return OrderRecord(
        placed=_placed_from_row(row, market),
        status=OrderStatus(row[17]),
        filled_lots=quantity_lots(row[18], market) or 0,
        remaining_lots=quantity_lots(row[19], market),
        filled_quote=units_of(row[20], market.quote_decimals),
        fee_base=units_of(row[21], market.base_decimals),
        fee_quote=units_of(row[22], market.quote_decimals),
        reason=row[23],
        first_sequence=row[24],
        sequence=row[25],
        created_time=row[26],
        updated_time=row[27],
        displayed_lots=quantity_lots(row[28], market),
        trigger_ticks=price_ticks(row[29], market),
        partner_id=row[30],
        prevented_lots=quantity_lots(row[31], market) or 0,
    )


def fill_from_row(row: Row, market: Market) -> FillRecord:
    """Read one row of `FILL_COLUMNS`; `market` is that of its symbol."""
    cell, sequence, index, order_id, account_id, symbol, side, price, quantity, quote, fee, fee_asset = row[:12]
    fee_decimals = market.base_decimals if fee_asset == market.base else market.quote_decimals
    return FillRecord(
        cell=cell,
        sequence=sequence,
        index=index,
        order_id=order_id,
        account_id=account_id,
        symbol=symbol,
        side=Side(side),
        price_ticks=price_ticks(price, market) or 0,
        quantity_lots=quantity_lots(quantity, market) or 0,
        quote=units_of(quote, market.quote_decimals),
        fee=units_of(fee, fee_decimals),
        fee_asset=fee_asset,
        liquidity=Liquidity.TAKER if row[14] else Liquidity(row[12]),
        time=row[13],
    )


def market_from_row(row: Row) -> Market:
    """Read one row of `MARKET_COLUMNS` from `MARKET_TABLES`."""
    symbol, base, quote, status, tick_size, lot_size, min_notional, max_quantity = row[:8]
    maker_fee_rate, taker_fee_rate, price_band, cell, home_region, base_decimals, quote_decimals = row[8:15]
    reference, volatility_auction_ms, fee_tiers, status_before_halt = row[15:19]
    lot_scaled = units_of(lot_size, amounts.MAX_DECIMALS)
    return Market(
        symbol=symbol,
        base=base,
        quote=quote,
        status=MarketStatus(status),
        tick_size=units_of(tick_size, amounts.MAX_DECIMALS),
        lot_size=lot_scaled,
        min_notional=units_of(min_notional, quote_decimals),
        max_quantity=units_of(max_quantity, amounts.MAX_DECIMALS) // lot_scaled,
        maker_fee_rate=units_of(maker_fee_rate, RATE_DECIMALS),
        taker_fee_rate=units_of(taker_fee_rate, RATE_DECIMALS),
        price_band=None if price_band is None else units_of(price_band, RATE_DECIMALS),
        cell=cell,
        home_region=home_region,
        base_decimals=base_decimals,
        quote_decimals=quote_decimals,
        reference=ReferencePolicy(reference),
        volatility_auction_ms=volatility_auction_ms,
        fee_tiers=tuple(_fee_tier(tier, quote_decimals) for tier in fee_tiers),
        status_before_halt=None if status_before_halt is None else MarketStatus(status_before_halt),
    )


def figures_from_row(row: Row, market: Market) -> MarketFigures:
    """Read one row of `FIGURES_COLUMNS` of `market`."""
    return MarketFigures(
        last_price_ticks=price_ticks(row[0], market),
        reference_ticks=price_ticks(row[1], market),
        auction_ends=row[2],
        indicative_ticks=price_ticks(row[3], market),
        indicative_lots=quantity_lots(row[4], market) or 0,
        surplus_lots=quantity_lots(row[5], market) or 0,
        uncrossing_ticks=price_ticks(row[6], market),
        fee_day=row[7],
    )


def asset_from_row(row: Row) -> Asset:
    """Read one row of `asset, decimals`."""
    return Asset(row[0], row[1])


def _fee_tier(tier: dict[str, str], quote_decimals: int) -> FeeTier:
    volume, *rates = (Decimal(tier[name]) for name in ("volume", "maker_fee_rate", "taker_fee_rate"))
    return FeeTier(units_of(volume, quote_decimals), *(units_of(rate, RATE_DECIMALS) for rate in rates))


def _placed_from_row(row: Row, market: Market) -> PlaceOrder:
    quote_quantity = row[7]
    return PlaceOrder(
        order_id=row[0],
        account_id=row[1],
        client_order_id=row[2],
        symbol=row[3],
        side=Side(row[4]),
        type=OrderType(row[5]),
        quantity_lots=quantity_lots(row[6], market),
        price_ticks=price_ticks(row[8], market),
        time_in_force=TimeInForce(row[11]),
        quote_quantity=None if quote_quantity is None else units_of(quote_quantity, market.quote_decimals),
        post_only=row[13],
        self_trade_prevention=SelfTradePrevention(row[15]),
        stop_price_ticks=price_ticks(row[9], market),
        trailing_delta_ticks=price_ticks(row[10], market),
        display_lots=quantity_lots(row[14], market),
        expire_time=row[12],
        queue_deadline_ms=row[16],
    )
