-- One batch, one call, one transaction: fence, journal, and every table that the batch changed.
-- Rows come in as the tables hold them; amounts as `12345e-8`, which PostgreSQL reads as exactly that many decimals.

CREATE TYPE new_order AS (
    order_id text, account_id text, client_order_id text, symbol text, side text, type text,
    quantity numeric, quote_quantity numeric, price numeric, stop_price numeric, trailing_delta numeric,
    time_in_force text, expire_time bigint, post_only boolean, display_quantity numeric,
    self_trade_prevention text, queue_deadline_ms bigint, fingerprint text, status text,
    filled_quantity numeric, remaining_quantity numeric, filled_quote numeric, fee_base numeric, fee_quote numeric,
    reason text, first_sequence bigint, priority_sequence bigint, sequence bigint,
    created_time bigint, updated_time bigint
);
CREATE TYPE changed_order AS (
    order_id text, status text, filled_quantity numeric, remaining_quantity numeric, filled_quote numeric,
    fee_base numeric, fee_quote numeric, reason text, priority_sequence bigint, sequence bigint, updated_time bigint
);
CREATE TYPE changed_balance AS (account_id text, asset text, available numeric, held numeric);
CREATE TYPE new_trade AS (
    sequence bigint, index integer, time bigint, symbol text, base text, quote text, taker_side text,
    maker_order_id text, maker_account_id text, taker_order_id text, taker_account_id text,
    price numeric, base_amount numeric, quote_amount numeric, quantity numeric,
    maker_fee numeric, taker_fee numeric, maker_base numeric, maker_quote numeric, taker_base numeric,
    taker_quote numeric, fees_base numeric, fees_quote numeric
);
COMMENT ON TYPE new_trade IS 'base_amount is quantity with the decimals of the asset; maker_base to fees_quote are the'
    ' totals (available and held) after the trade';

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
        SELECT of_cell, r.sequence, r.index, side.line, side.account_id, r.asset, side.amount, r.kind,
               r.reference, side.balance_after, r.time
        FROM json_to_recordset(changes -> 'transferred')
            AS r(sequence bigint, index integer, time bigint, kind text, account_id text, asset text, amount numeric,
                 reference text, total numeric, external_total numeric)
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
               t.price, t.quantity, t.quote_amount, party.fee, CASE party.side WHEN 'buy' THEN t.base ELSE t.quote END,
               t.time
        FROM unnest(trades) t
        CROSS JOIN LATERAL (VALUES
            ('maker', t.maker_order_id, t.maker_account_id,
             CASE t.taker_side WHEN 'buy' THEN 'sell' ELSE 'buy' END, t.maker_fee),
            ('taker', t.taker_order_id, t.taker_account_id, t.taker_side, t.taker_fee)
        ) AS party(liquidity, order_id, account_id, side, fee);
    INSERT INTO ledger
        SELECT of_cell, t.sequence, t.index, entry.line, entry.account_id, entry.asset, entry.amount, entry.kind,
               of_cell || '-' || t.sequence || '-' || t.index, entry.balance_after, t.time
        FROM unnest(trades) t
        CROSS JOIN LATERAL (
            SELECT t.taker_account_id AS buyer, t.maker_account_id AS seller, t.taker_fee AS base_fee,
                   t.maker_fee AS quote_fee, t.taker_base AS buyer_base, t.taker_quote AS buyer_quote,
                   t.maker_base AS seller_base, t.maker_quote AS seller_quote
            WHERE t.taker_side = 'buy'
            UNION ALL
            SELECT t.maker_account_id, t.taker_account_id, t.maker_fee, t.taker_fee,
                   t.maker_base, t.maker_quote, t.taker_base, t.taker_quote
            WHERE t.taker_side = 'sell'
        ) p
        CROSS JOIN LATERAL (VALUES
            (1, p.buyer, t.base, t.base_amount, 'trade', p.buyer_base + p.base_fee),
            (2, p.buyer, t.quote, -t.quote_amount, 'trade', p.buyer_quote),
            (3, p.seller, t.base, -t.base_amount, 'trade', p.seller_base),
            (4, p.seller, t.quote, t.quote_amount, 'trade', p.seller_quote + p.quote_fee),
            (5, p.buyer, t.base, -p.base_fee, 'fee', p.buyer_base),
            (6, p.seller, t.quote, -p.quote_fee, 'fee', p.seller_quote),
            (7, 'fees', t.base, p.base_fee, 'fee', t.fees_base),
            (8, 'fees', t.quote, p.quote_fee, 'fee', t.fees_quote)
        ) AS entry(line, account_id, asset, amount, kind, balance_after)
        WHERE entry.amount <> 0;
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
    IF cardinality(entered) > 0 THEN
        INSERT INTO orders
            SELECT of_cell, o.order_id, o.account_id, o.client_order_id, o.symbol, o.side, o.type, o.quantity,
                   o.quote_quantity, o.price, o.stop_price, o.trailing_delta, o.time_in_force, o.expire_time,
                   o.post_only, o.display_quantity, o.self_trade_prevention, o.queue_deadline_ms,
                   decode(o.fingerprint, 'hex'), o.status, o.filled_quantity, o.remaining_quantity, o.filled_quote,
                   o.fee_base, o.fee_quote, o.reason, o.first_sequence, o.priority_sequence, o.sequence,
                   o.created_time, o.updated_time
            FROM unnest(entered) o;
    END IF;
    IF cardinality(changed) > 0 THEN
        UPDATE orders o SET status = c.status, filled_quantity = c.filled_quantity,
               remaining_quantity = c.remaining_quantity, filled_quote = c.filled_quote, fee_base = c.fee_base,
               fee_quote = c.fee_quote, reason = c.reason, priority_sequence = c.priority_sequence,
               sequence = c.sequence, updated_time = c.updated_time
            FROM unnest(changed) c WHERE o.order_id = c.order_id;
    END IF;
    IF cardinality(trades) > 0 THEN
        PERFORM write_trades(of_cell, trades);
    END IF;
    IF cardinality(balances_changed) > 0 THEN
        INSERT INTO balances AS b SELECT of_cell, r.* FROM unnest(balances_changed) r
            ON CONFLICT (cell, account_id, asset) DO UPDATE SET available = excluded.available, held = excluded.held;
    END IF;
END $$;
