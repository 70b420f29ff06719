-- The whole schema. Amounts are numeric in human units, times microseconds of engine time.
-- The owner never serves: matching_service writes through commit_batch, functions only read.

CREATE TABLE lease (
    cell integer PRIMARY KEY,
    holder text NOT NULL,
    endpoint text NOT NULL,
    certificate text NOT NULL,
    expires timestamptz NOT NULL
);
COMMENT ON TABLE lease IS 'Who may lead a cell, and where it serves: touched by renewals and candidates only';

CREATE TABLE fence (
    cell integer PRIMARY KEY,
    epoch bigint NOT NULL,
    last_sequence bigint NOT NULL
) WITH (fillfactor = 70);
COMMENT ON TABLE fence IS 'What a batch must find unchanged: touched by batches and the winner of the lease only';

CREATE TABLE journal (
    cell integer NOT NULL,
    first_sequence bigint NOT NULL,
    last_sequence bigint NOT NULL,
    batch_id uuid NOT NULL,
    epoch bigint NOT NULL,
    version smallint NOT NULL,
    rules_version smallint NOT NULL,
    last_time bigint NOT NULL,
    commands text NOT NULL,
    events text NOT NULL,
    chain bytea NOT NULL,
    state_hash bytea,
    PRIMARY KEY (cell, first_sequence)
) PARTITION BY RANGE (first_sequence);

CREATE TABLE assets (
    cell integer NOT NULL,
    asset text NOT NULL,
    decimals smallint NOT NULL,
    created_sequence bigint NOT NULL,
    PRIMARY KEY (cell, asset)
);

CREATE TABLE accounts (
    cell integer NOT NULL,
    account_id text NOT NULL,
    name text NOT NULL,
    status text NOT NULL,
    created_sequence bigint NOT NULL,
    PRIMARY KEY (cell, account_id)
);

CREATE TABLE api_keys (
    cell integer NOT NULL,
    api_key text NOT NULL,
    account_id text NOT NULL,
    encrypted_secret text NOT NULL,
    scopes text NOT NULL,
    ip_allow_list text NOT NULL,
    deleted boolean NOT NULL,
    created_sequence bigint NOT NULL,
    PRIMARY KEY (cell, api_key)
);

CREATE TABLE markets (
    cell integer NOT NULL,
    symbol text NOT NULL UNIQUE,
    base text NOT NULL,
    quote text NOT NULL,
    status text NOT NULL,
    tick_size numeric NOT NULL,
    lot_size numeric NOT NULL,
    min_notional numeric NOT NULL,
    max_quantity numeric NOT NULL,
    maker_fee_rate numeric NOT NULL,
    taker_fee_rate numeric NOT NULL,
    price_band numeric,
    home_region text NOT NULL,
    created_sequence bigint NOT NULL,
    PRIMARY KEY (cell, symbol)
);

CREATE TABLE balances (
    cell integer NOT NULL,
    account_id text NOT NULL,
    asset text NOT NULL,
    available numeric NOT NULL,
    held numeric NOT NULL,
    PRIMARY KEY (cell, account_id, asset)
) WITH (fillfactor = 70);

CREATE TABLE orders (
    cell integer NOT NULL,
    order_id text NOT NULL PRIMARY KEY,
    account_id text NOT NULL,
    client_order_id text NOT NULL,
    symbol text NOT NULL,
    side text NOT NULL,
    type text NOT NULL,
    quantity numeric,
    quote_quantity numeric,
    price numeric,
    stop_price numeric,
    trailing_delta numeric,
    time_in_force text NOT NULL,
    expire_time bigint,
    post_only boolean NOT NULL,
    display_quantity numeric,
    self_trade_prevention text NOT NULL,
    queue_deadline_ms bigint,
    fingerprint bytea NOT NULL,
    status text NOT NULL,
    filled_quantity numeric NOT NULL,
    remaining_quantity numeric,
    filled_quote numeric NOT NULL,
    fee_base numeric NOT NULL,
    fee_quote numeric NOT NULL,
    reason text,
    first_sequence bigint NOT NULL,
    priority_sequence bigint NOT NULL,
    sequence bigint NOT NULL,
    created_time bigint NOT NULL,
    updated_time bigint NOT NULL
) WITH (fillfactor = 85);
CREATE INDEX orders_of_account ON orders (account_id, first_sequence DESC);
CREATE INDEX orders_by_sequence ON orders (cell, first_sequence);
CREATE INDEX orders_open ON orders (cell, account_id) WHERE status IN ('new', 'partially_filled', 'pending_trigger');

CREATE TABLE transfers (
    cell integer NOT NULL,
    account_id text NOT NULL,
    kind text NOT NULL,
    reference text NOT NULL,
    sequence bigint NOT NULL,
    PRIMARY KEY (cell, account_id, kind, reference)
);
CREATE INDEX transfers_by_sequence ON transfers (cell, sequence);

CREATE TABLE fills (
    cell integer NOT NULL,
    sequence bigint NOT NULL,
    index integer NOT NULL,
    liquidity text NOT NULL,
    order_id text NOT NULL,
    account_id text NOT NULL,
    symbol text NOT NULL,
    side text NOT NULL,
    price numeric NOT NULL,
    quantity numeric NOT NULL,
    quote numeric NOT NULL,
    fee numeric NOT NULL,
    fee_asset text NOT NULL,
    time bigint NOT NULL,
    PRIMARY KEY (cell, sequence, index, liquidity)
) PARTITION BY RANGE (sequence);
CREATE INDEX fills_of_account ON fills (account_id, sequence DESC, index DESC);
CREATE INDEX trades_of_market ON fills (symbol, sequence DESC, index DESC) WHERE liquidity = 'taker';
CREATE INDEX fills_by_time ON fills USING brin (time);

CREATE TABLE ledger (
    cell integer NOT NULL,
    sequence bigint NOT NULL,
    index integer NOT NULL,
    line smallint NOT NULL,
    account_id text NOT NULL,
    asset text NOT NULL,
    amount numeric NOT NULL,
    kind text NOT NULL,
    reference text NOT NULL,
    balance_after numeric NOT NULL,
    time bigint NOT NULL,
    PRIMARY KEY (cell, sequence, index, line)
) PARTITION BY RANGE (sequence);
CREATE INDEX ledger_of_account ON ledger (account_id, sequence DESC, index DESC, line DESC);

CREATE TABLE positions (
    cell integer NOT NULL,
    name text NOT NULL,
    position text NOT NULL,
    PRIMARY KEY (cell, name)
) WITH (fillfactor = 70);
COMMENT ON TABLE positions IS 'How far each reader of the journal or of a stream has come; the name says which';

-- Sixteen million sequences a partition; the leader asks for the next ones long before they are reached.
CREATE FUNCTION ensure_partitions(reached bigint) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    size constant bigint := 16000000;
    parent text;
    number bigint;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext('ensure_partitions'));
    FOREACH parent IN ARRAY ARRAY['journal', 'fills', 'ledger'] LOOP
        FOR number IN reached / size .. reached / size + 2 LOOP
            IF to_regclass(format('%s_%s', parent, number)) IS NULL THEN
                EXECUTE format('CREATE TABLE %I PARTITION OF %I FOR VALUES FROM (%s) TO (%s)',
                               parent || '_' || number, parent, number * size, (number + 1) * size);
            END IF;
        END LOOP;
    END LOOP;
END $$;
SELECT ensure_partitions(0);
