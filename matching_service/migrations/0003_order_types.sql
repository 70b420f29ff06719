-- Every order type, auctions, fee volumes and dead man's switches: what an engine needs of them to be restored.
-- What 0002 made stays and goes on working: a build of schema 2 may lead until its successor does.

ALTER TABLE orders
    ADD COLUMN displayed_quantity numeric,
    ADD COLUMN trigger_price numeric,
    ADD COLUMN partner_id text,
    ADD COLUMN prevented_quantity numeric NOT NULL DEFAULT 0;
COMMENT ON COLUMN orders.displayed_quantity IS 'What an iceberg still shows of its slice, null for an order that shows all';
COMMENT ON COLUMN orders.trigger_price IS 'What triggers an order that waits; a trailing one moves it';
COMMENT ON COLUMN orders.fingerprint IS 'Of the request as it was entered first: an amend leaves it alone';

ALTER TABLE fills ADD COLUMN is_auction boolean NOT NULL DEFAULT false;
COMMENT ON COLUMN fills.liquidity IS 'Which of its two fills a trade counts by (taker); in an auction both sides took';

ALTER TABLE accounts ADD COLUMN dead_man_deadline bigint;

ALTER TABLE markets
    ADD COLUMN reference text NOT NULL DEFAULT 'moving',
    ADD COLUMN volatility_auction_ms bigint NOT NULL DEFAULT 30000,
    ADD COLUMN fee_tiers jsonb NOT NULL DEFAULT '[]',
    ADD COLUMN status_before_halt text,
    ADD COLUMN last_price numeric,
    ADD COLUMN reference_price numeric,
    ADD COLUMN auction_ends bigint,
    ADD COLUMN indicative_price numeric,
    ADD COLUMN indicative_quantity numeric NOT NULL DEFAULT 0,
    ADD COLUMN surplus_quantity numeric NOT NULL DEFAULT 0,
    ADD COLUMN uncrossing_price numeric,
    ADD COLUMN fee_day integer;
COMMENT ON COLUMN markets.last_price IS 'As of the last change of this row: the newest fill, where there is one, knows better';

CREATE TABLE fee_volumes (
    cell integer NOT NULL,
    account_id text NOT NULL,
    symbol text NOT NULL,
    day integer NOT NULL,
    volume numeric NOT NULL,
    PRIMARY KEY (cell, symbol, account_id, day)
) WITH (fillfactor = 70);
COMMENT ON TABLE fee_volumes IS 'What an account traded in a market on a UTC day, counted from the epoch, in the quote asset';

-- What only some orders have, and what an amend changed: given for those alone, beside new_order and changed_order.
CREATE TYPE order_detail AS (
    order_id text, quantity numeric, price numeric, displayed_quantity numeric, trigger_price numeric, partner_id text,
    prevented_quantity numeric
);
CREATE TYPE changed_volume AS (account_id text, symbol text, day integer, volume numeric);
-- As new_trade, and an auction may match two orders of one account; a maker_fee below zero is a rebate in the asset that the taker pays its fee in.
CREATE TYPE traded AS (
    sequence bigint, index integer, time bigint, symbol text, base text, quote text, taker_side text,
    maker_order_id text, maker_account_id text, taker_order_id text, taker_account_id text,
    price numeric, base_amount numeric, quote_amount numeric, quantity numeric,
    maker_fee numeric, taker_fee numeric, maker_base numeric, maker_quote numeric, taker_base numeric,
    taker_quote numeric, fees_base numeric, fees_quote numeric, is_auction boolean
);

CREATE FUNCTION write_trades(of_cell integer, trades traded[]) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO fills
        SELECT of_cell, t.sequence, t.index, party.liquidity, party.order_id, party.account_id, t.symbol, party.side,
               t.price, t.quantity, t.quote_amount, party.fee,
               CASE WHEN (party.side = 'buy') = (party.fee >= 0) THEN t.base ELSE t.quote END, t.time, t.is_auction
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
                   greatest(t.maker_fee, 0) AS quote_fee, greatest(-t.maker_fee, 0) AS base_rebate, 0 AS quote_rebate,
                   t.taker_base AS buyer_base, t.taker_quote AS buyer_quote,
                   t.maker_base AS seller_base, t.maker_quote AS seller_quote,
                   (t.taker_account_id = t.maker_account_id)::int AS own
            WHERE t.taker_side = 'buy'
            UNION ALL
            SELECT t.maker_account_id, t.taker_account_id, greatest(t.maker_fee, 0), t.taker_fee,
                   0, greatest(-t.maker_fee, 0),
                   t.maker_base, t.maker_quote, t.taker_base, t.taker_quote,
                   (t.taker_account_id = t.maker_account_id)::int
            WHERE t.taker_side = 'sell'
        ) p
        CROSS JOIN LATERAL (VALUES
            (1, p.buyer, t.base, t.base_amount, 'trade', p.buyer_base + p.base_fee + p.own * t.base_amount),
            (2, p.buyer, t.quote, -t.quote_amount, 'trade',
             p.buyer_quote - p.quote_rebate + p.own * (p.quote_fee - t.quote_amount)),
            (3, p.seller, t.base, -t.base_amount, 'trade', p.seller_base - p.base_rebate + p.own * p.base_fee),
            (4, p.seller, t.quote, t.quote_amount, 'trade', p.seller_quote + p.quote_fee),
            (5, p.buyer, t.base, -p.base_fee, 'fee', p.buyer_base),
            (6, p.seller, t.quote, -p.quote_fee, 'fee', p.seller_quote),
            (7, 'fees', t.base, p.base_fee, 'fee', t.fees_base + p.base_rebate),
            (8, 'fees', t.quote, p.quote_fee, 'fee', t.fees_quote + p.quote_rebate),
            (9, 'fees', t.base, -p.base_rebate, 'fee', t.fees_base),
            (10, 'fees', t.quote, -p.quote_rebate, 'fee', t.fees_quote),
            (11, p.seller, t.base, p.base_rebate, 'fee', p.seller_base),
            (12, p.buyer, t.quote, p.quote_rebate, 'fee', p.buyer_quote)
        ) AS entry(line, account_id, asset, amount, kind, balance_after)
        WHERE entry.amount <> 0;
END $$;

CREATE FUNCTION write_rare(of_cell integer, changes jsonb) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    IF changes ? 'assets' THEN
        INSERT INTO assets SELECT of_cell, r.* FROM jsonb_to_recordset(changes -> 'assets')
            AS r(asset text, decimals smallint, created_sequence bigint);
    END IF;
    IF changes ? 'accounts' THEN
        INSERT INTO accounts SELECT of_cell, r.* FROM jsonb_to_recordset(changes -> 'accounts')
            AS r(account_id text, name text, status text, created_sequence bigint, dead_man_deadline bigint)
            ON CONFLICT (cell, account_id) DO UPDATE
                SET status = excluded.status, dead_man_deadline = excluded.dead_man_deadline;
    END IF;
    IF changes ? 'api_keys' THEN
        INSERT INTO api_keys SELECT of_cell, r.* FROM jsonb_to_recordset(changes -> 'api_keys')
            AS r(api_key text, account_id text, encrypted_secret text, scopes text, ip_allow_list text,
                 deleted boolean, created_sequence bigint)
            ON CONFLICT (cell, api_key) DO UPDATE SET deleted = excluded.deleted;
    END IF;
    IF changes ? 'markets' THEN
        INSERT INTO markets AS m SELECT of_cell, r.* FROM jsonb_to_recordset(changes -> 'markets')
            AS r(symbol text, base text, quote text, status text, tick_size numeric, lot_size numeric,
                 min_notional numeric, max_quantity numeric, maker_fee_rate numeric, taker_fee_rate numeric,
                 price_band numeric, home_region text, created_sequence bigint, reference text,
                 volatility_auction_ms bigint, fee_tiers jsonb, status_before_halt text, last_price numeric,
                 reference_price numeric, auction_ends bigint, indicative_price numeric, indicative_quantity numeric,
                 surplus_quantity numeric, uncrossing_price numeric, fee_day integer)
            ON CONFLICT (cell, symbol) DO UPDATE SET status = excluded.status, min_notional = excluded.min_notional,
                max_quantity = excluded.max_quantity, maker_fee_rate = excluded.maker_fee_rate,
                taker_fee_rate = excluded.taker_fee_rate, price_band = excluded.price_band,
                reference = excluded.reference, volatility_auction_ms = excluded.volatility_auction_ms,
                fee_tiers = excluded.fee_tiers, status_before_halt = excluded.status_before_halt,
                last_price = excluded.last_price, reference_price = excluded.reference_price,
                auction_ends = excluded.auction_ends, indicative_price = excluded.indicative_price,
                indicative_quantity = excluded.indicative_quantity, surplus_quantity = excluded.surplus_quantity,
                uncrossing_price = excluded.uncrossing_price, fee_day = excluded.fee_day;
    END IF;
    IF changes ? 'transfers' THEN
        INSERT INTO transfers SELECT of_cell, r.* FROM jsonb_to_recordset(changes -> 'transfers')
            AS r(account_id text, kind text, reference text, sequence bigint);
    END IF;
    IF changes ? 'transferred' THEN
        INSERT INTO ledger
            SELECT of_cell, r.sequence, r.index, side.line, side.account_id, r.asset, side.amount, r.kind,
                   r.reference, side.balance_after, r.time
            FROM jsonb_to_recordset(changes -> 'transferred')
                AS r(sequence bigint, index integer, time bigint, kind text, account_id text, asset text,
                     amount numeric, reference text, total numeric, external_total numeric)
            CROSS JOIN LATERAL (VALUES
                (1, r.account_id, r.amount, r.total),
                (2, 'external', -r.amount, r.external_total)
            ) AS side(line, account_id, amount, balance_after);
    END IF;
    IF changes ? 'forgotten_volumes' THEN
        DELETE FROM fee_volumes v USING jsonb_to_recordset(changes -> 'forgotten_volumes')
            AS r(account_id text, symbol text, day integer)
            WHERE v.cell = of_cell AND v.symbol = r.symbol AND v.account_id = r.account_id AND v.day = r.day;
    END IF;
END $$;

CREATE FUNCTION commit_batch(
    of_cell integer, in_epoch bigint, first bigint, last bigint, own_batch_id uuid, format smallint, rules smallint,
    engine_time bigint, batch_commands text, batch_events text, chain_hash bytea, full_hash bytea,
    entered new_order[], changed changed_order[], trades traded[], balances_changed changed_balance[],
    details order_detail[], volumes changed_volume[], rare jsonb
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
    IF rare IS NOT NULL THEN
        PERFORM write_rare(of_cell, rare);
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
    IF cardinality(details) > 0 THEN
        UPDATE orders o SET quantity = d.quantity, price = d.price, displayed_quantity = d.displayed_quantity,
               trigger_price = d.trigger_price, partner_id = d.partner_id, prevented_quantity = d.prevented_quantity
            FROM unnest(details) d WHERE o.order_id = d.order_id;
    END IF;
    IF cardinality(trades) > 0 THEN
        PERFORM write_trades(of_cell, trades);
    END IF;
    IF cardinality(balances_changed) > 0 THEN
        INSERT INTO balances AS b SELECT of_cell, r.* FROM unnest(balances_changed) r
            ON CONFLICT (cell, account_id, asset) DO UPDATE SET available = excluded.available, held = excluded.held;
    END IF;
    IF cardinality(volumes) > 0 THEN
        INSERT INTO fee_volumes SELECT of_cell, r.* FROM unnest(volumes) r
            ON CONFLICT (cell, symbol, account_id, day) DO UPDATE SET volume = excluded.volume;
    END IF;
END $$;
