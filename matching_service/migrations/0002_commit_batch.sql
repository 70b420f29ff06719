-- One batch, one call, one transaction: fence, journal, and every table that the batch changed.
-- Rows come in as integers (ticks, lots, asset units) and are scaled here, beside the markets and assets that say how.

CREATE TYPE new_order AS (
    order_id text, account_id text, client_order_id text, symbol text, side text, type text,
    quantity_lots bigint, quote_quantity numeric, price_ticks bigint, stop_price_ticks bigint,
    trailing_delta_ticks bigint, time_in_force text, expire_time bigint, post_only boolean, display_lots bigint,
    self_trade_prevention text, queue_deadline_ms bigint, fingerprint text, status text, filled_lots bigint,
    remaining_lots bigint, filled_quote numeric, fee_base numeric, fee_quote numeric, reason text,
    first_sequence bigint, priority_sequence bigint, sequence bigint, created_time bigint, updated_time bigint
);
CREATE TYPE changed_order AS (
    order_id text, symbol text, status text, filled_lots bigint, remaining_lots bigint, filled_quote numeric,
    fee_base numeric, fee_quote numeric, reason text, priority_sequence bigint, sequence bigint, updated_time bigint
);
CREATE TYPE changed_balance AS (account_id text, asset text, available numeric, held numeric);
CREATE TYPE new_trade AS (
    sequence bigint, index integer, time bigint, symbol text, taker_side text,
    maker_order_id text, maker_account_id text, taker_order_id text, taker_account_id text,
    price_ticks bigint, quantity_lots bigint, quote numeric, maker_fee numeric, taker_fee numeric,
    maker_base numeric, maker_quote numeric, taker_base numeric, taker_quote numeric,
    fees_base numeric, fees_quote numeric
);
COMMENT ON TYPE new_trade IS 'maker_base to fees_quote are the totals (available and held) after the trade, in units';

CREATE FUNCTION asset_units(of_cell integer) RETURNS TABLE (asset text, unit numeric)
LANGUAGE sql STABLE AS $$
    SELECT a.asset, ('1e-' || a.decimals)::numeric FROM assets a WHERE a.cell = of_cell
$$;

CREATE FUNCTION market_scales(of_cell integer)
RETURNS TABLE (symbol text, base text, quote text, tick numeric, lot numeric, base_unit numeric, quote_unit numeric)
LANGUAGE sql STABLE AS $$
    SELECT m.symbol, m.base, m.quote, m.tick_size, m.lot_size, b.unit, q.unit
    FROM markets m JOIN asset_units(of_cell) b ON b.asset = m.base JOIN asset_units(of_cell) q ON q.asset = m.quote
    WHERE m.cell = of_cell
$$;

CREATE FUNCTION write_administration(of_cell integer, changes json) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO assets SELECT of_cell, r.* FROM json_to_recordset(changes -> 'assets')
        AS r(asset text, decimals smallint, created_sequence bigint);
    INSERT INTO accounts SELECT of_cell, r.* FROM json_to_recordset(changes -> 'accounts')
        AS r(account_id text, name text, status text, created_sequence bigint)
        ON CONFLICT (cell, account_id) DO UPDATE SET status = excluded.status;
    INSERT INTO api_keys SELECT of_cell, r.* FROM json_to_recordset(changes -> 'api_keys')
        AS r(api_key text, account_id text, encrypted_secret text, scopes text, ip_allow_list text,
             deleted boolean, created_sequence bigint)
        ON CONFLICT (cell, api_key) DO UPDATE SET deleted = excluded.deleted;
    INSERT INTO markets AS m SELECT of_cell, r.* FROM json_to_recordset(changes -> 'markets')
        AS r(symbol text, base text, quote text, status text, tick_size numeric, lot_size numeric,
             min_notional numeric, max_quantity numeric, maker_fee_rate numeric, taker_fee_rate numeric,
             price_band numeric, home_region text, created_sequence bigint)
        ON CONFLICT (cell, symbol) DO UPDATE SET status = excluded.status, min_notional = excluded.min_notional,
            max_quantity = excluded.max_quantity, maker_fee_rate = excluded.maker_fee_rate,
            taker_fee_rate = excluded.taker_fee_rate, price_band = excluded.price_band;
    INSERT INTO transfers SELECT of_cell, r.* FROM json_to_recordset(changes -> 'transfers')
        AS r(account_id text, kind text, reference text, sequence bigint);
    INSERT INTO ledger
        SELECT of_cell, r.sequence, r.index, side.line, side.account_id, r.asset, side.amount * u.unit, r.kind,
               r.reference, side.balance_after * u.unit, r.time
        FROM json_to_recordset(changes -> 'transferred')
            AS r(sequence bigint, index integer, time bigint, kind text, account_id text, asset text, amount numeric,
                 reference text, total numeric, external_total numeric)
        JOIN asset_units(of_cell) u ON u.asset = r.asset
        CROSS JOIN LATERAL (VALUES
            (1, r.account_id, r.amount, r.total),
            (2, 'external', -r.amount, r.external_total)
        ) AS side(line, account_id, amount, balance_after);
END $$;

CREATE FUNCTION write_trades(of_cell integer, trades new_trade[]) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO fills
        SELECT of_cell, t.sequence, t.index, party.liquidity, party.order_id, party.account_id, t.symbol, party.side,
               t.price_ticks * s.tick, t.quantity_lots * s.lot, t.quote * s.quote_unit,
               party.fee * CASE party.side WHEN 'buy' THEN s.base_unit ELSE s.quote_unit END,
               CASE party.side WHEN 'buy' THEN s.base ELSE s.quote END, t.time
        FROM unnest(trades) t JOIN market_scales(of_cell) s ON s.symbol = t.symbol
        CROSS JOIN LATERAL (VALUES
            ('maker', t.maker_order_id, t.maker_account_id,
             CASE t.taker_side WHEN 'buy' THEN 'sell' ELSE 'buy' END, t.maker_fee),
            ('taker', t.taker_order_id, t.taker_account_id, t.taker_side, t.taker_fee)
        ) AS party(liquidity, order_id, account_id, side, fee);
    INSERT INTO ledger
        SELECT of_cell, t.sequence, t.index, entry.line, entry.account_id, entry.asset, entry.amount, entry.kind,
               of_cell || '-' || t.sequence || '-' || t.index, entry.balance_after, t.time
        FROM unnest(trades) t JOIN market_scales(of_cell) s ON s.symbol = t.symbol
        CROSS JOIN LATERAL (
            SELECT t.quantity_lots * s.lot AS base_amount, t.quote * s.quote_unit AS quote_amount,
                   t.taker_account_id AS buyer, t.maker_account_id AS seller,
                   t.taker_fee * s.base_unit AS base_fee, t.maker_fee * s.quote_unit AS quote_fee,
                   t.taker_base * s.base_unit AS buyer_base, t.taker_quote * s.quote_unit AS buyer_quote,
                   t.maker_base * s.base_unit AS seller_base, t.maker_quote * s.quote_unit AS seller_quote
            WHERE t.taker_side = 'buy'
            UNION ALL
            SELECT t.quantity_lots * s.lot, t.quote * s.quote_unit,
                   t.maker_account_id, t.taker_account_id,
                   t.maker_fee * s.base_unit, t.taker_fee * s.quote_unit,
                   t.maker_base * s.base_unit, t.maker_quote * s.quote_unit,
                   t.taker_base * s.base_unit, t.taker_quote * s.quote_unit
            WHERE t.taker_side = 'sell'
        ) p
        CROSS JOIN LATERAL (VALUES
            (1, p.buyer, s.base, p.base_amount, 'trade', p.buyer_base + p.base_fee),
            (2, p.buyer, s.quote, -p.quote_amount, 'trade', p.buyer_quote),
            (3, p.seller, s.base, -p.base_amount, 'trade', p.seller_base),
            (4, p.seller, s.quote, p.quote_amount, 'trade', p.seller_quote + p.quote_fee),
            (5, p.buyer, s.base, -p.base_fee, 'fee', p.buyer_base),
            (6, p.seller, s.quote, -p.quote_fee, 'fee', p.seller_quote),
            (7, 'fees', s.base, p.base_fee, 'fee', t.fees_base * s.base_unit),
            (8, 'fees', s.quote, p.quote_fee, 'fee', t.fees_quote * s.quote_unit)
        ) AS entry(line, account_id, asset, amount, kind, balance_after)
        WHERE entry.amount <> 0;
END $$;

CREATE FUNCTION write_orders(of_cell integer, entered new_order[], changed changed_order[]) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO orders
        SELECT of_cell, o.order_id, o.account_id, o.client_order_id, o.symbol, o.side, o.type,
               o.quantity_lots * s.lot, o.quote_quantity * s.quote_unit, o.price_ticks * s.tick,
               o.stop_price_ticks * s.tick, o.trailing_delta_ticks * s.tick, o.time_in_force, o.expire_time,
               o.post_only, o.display_lots * s.lot, o.self_trade_prevention, o.queue_deadline_ms,
               decode(o.fingerprint, 'hex'), o.status, o.filled_lots * s.lot, o.remaining_lots * s.lot,
               o.filled_quote * s.quote_unit, o.fee_base * s.base_unit, o.fee_quote * s.quote_unit, o.reason,
               o.first_sequence, o.priority_sequence, o.sequence, o.created_time, o.updated_time
        FROM unnest(entered) o JOIN market_scales(of_cell) s ON s.symbol = o.symbol;
    UPDATE orders o SET status = c.status, filled_quantity = c.filled_lots * s.lot,
           remaining_quantity = c.remaining_lots * s.lot, filled_quote = c.filled_quote * s.quote_unit,
           fee_base = c.fee_base * s.base_unit, fee_quote = c.fee_quote * s.quote_unit, reason = c.reason,
           priority_sequence = c.priority_sequence, sequence = c.sequence, updated_time = c.updated_time
        FROM unnest(changed) c JOIN market_scales(of_cell) s ON s.symbol = c.symbol
        WHERE o.order_id = c.order_id;
END $$;

CREATE FUNCTION commit_batch(
    of_cell integer, in_epoch bigint, first bigint, last bigint, own_batch_id uuid, format smallint, rules smallint,
    engine_time bigint, batch_commands text, batch_events text, chain_hash bytea, full_hash bytea,
    entered new_order[], changed changed_order[], trades new_trade[], balances_changed changed_balance[],
    administration json
) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    UPDATE fence SET last_sequence = last
        WHERE cell = of_cell AND epoch = in_epoch AND last_sequence = first - 1;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'batch % of epoch % does not follow the fence of cell %', first, in_epoch, of_cell
            USING ERRCODE = 'EX001';
    END IF;
    INSERT INTO journal VALUES (of_cell, first, last, own_batch_id, in_epoch, format, rules, engine_time,
                                batch_commands, batch_events, chain_hash, full_hash);
    IF administration IS NOT NULL THEN
        PERFORM write_administration(of_cell, administration);
    END IF;
    PERFORM write_orders(of_cell, entered, changed);
    IF cardinality(trades) > 0 THEN
        PERFORM write_trades(of_cell, trades);
    END IF;
    INSERT INTO balances AS b
        SELECT of_cell, r.account_id, r.asset, r.available * u.unit, r.held * u.unit
        FROM unnest(balances_changed) r JOIN asset_units(of_cell) u ON u.asset = r.asset
        ON CONFLICT (cell, account_id, asset) DO UPDATE SET available = excluded.available, held = excluded.held;
END $$;
