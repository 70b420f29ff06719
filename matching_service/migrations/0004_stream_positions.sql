-- How far the leader has come in the stream `orders`, shard by shard, written in the transaction of the batch that the
-- records became: so each is taken exactly once. A stream made anew under its name is another: `created` tells them apart.

CREATE TABLE stream_positions (
    cell integer NOT NULL,
    stream text NOT NULL,
    created bigint NOT NULL,
    shard_id text NOT NULL,
    sequence_number text NOT NULL,
    PRIMARY KEY (cell, stream, shard_id)
);

CREATE FUNCTION write_stream_positions(of_cell integer, taken json) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM stream_positions p
        USING json_to_recordset(taken) AS r(stream text, created bigint)
        WHERE p.cell = of_cell AND p.stream = r.stream AND p.created <> r.created;
    INSERT INTO stream_positions
        SELECT of_cell, r.* FROM json_to_recordset(taken)
            AS r(stream text, created bigint, shard_id text, sequence_number text)
        ON CONFLICT (cell, stream, shard_id)
            DO UPDATE SET created = excluded.created, sequence_number = excluded.sequence_number;
END $$;
