-- The tables of one service: the log, the state of each stream, and the marks of what was done.
-- Run with search_path set to the service's own schema.

CREATE TABLE streams (
    id text PRIMARY KEY,
    version integer NOT NULL,
    state json NOT NULL,
    fold text NOT NULL  -- hash of the code that made `state`; another hash means: fold the events again
) WITH (fillfactor = 70);

CREATE TABLE events (
    position bigint PRIMARY KEY,  -- dense: the event before this one has position - 1
    stream text NOT NULL,
    version integer NOT NULL,
    id uuid NOT NULL,
    type text NOT NULL,
    schema smallint NOT NULL,
    key text NOT NULL,  -- last token of the event's subject
    data jsonb NOT NULL,
    meta jsonb NOT NULL,
    recorded_at timestamptz NOT NULL,
    UNIQUE (stream, version)
) WITH (autovacuum_vacuum_insert_scale_factor = 0.05);

CREATE TABLE commands (
    id text PRIMARY KEY,
    answer json NOT NULL,
    first_position bigint NOT NULL,  -- of the command's events
    recorded_at timestamptz NOT NULL
);
CREATE INDEX commands_by_age ON commands USING brin (recorded_at);

CREATE TABLE timers (
    key text PRIMARY KEY,
    due_at timestamptz NOT NULL,
    set_at timestamptz NOT NULL,
    command text NOT NULL,
    body json NOT NULL,
    claimed_until timestamptz NOT NULL DEFAULT '-infinity'
) WITH (fillfactor = 70);
CREATE INDEX timers_by_due ON timers (due_at);

CREATE TABLE checkpoints (
    consumer text NOT NULL,
    source text NOT NULL,
    position bigint NOT NULL,
    PRIMARY KEY (consumer, source)
) WITH (fillfactor = 50);

CREATE TABLE parked (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    consumer text NOT NULL,
    key text NOT NULL,
    source text NOT NULL,
    position bigint NOT NULL,
    message jsonb NOT NULL,
    error text NOT NULL,  -- empty for those that only wait behind another
    attempts integer NOT NULL,
    wish text CHECK (wish IN ('retry', 'drop')),  -- what a person decided; the consumer carries it out
    parked_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX parked_by_key ON parked (consumer, key, id);

CREATE TABLE leases (
    name text PRIMARY KEY,
    holder text NOT NULL,
    epoch bigint NOT NULL,
    expires_at timestamptz NOT NULL
) WITH (fillfactor = 50);

CREATE TABLE grants (
    actor text PRIMARY KEY,
    level smallint NOT NULL,  -- 1 for one that was taken back
    expires_at timestamptz,
    position bigint NOT NULL  -- of the guardian's event that says so
);

-- Append the decisions of a whole batch, or nothing of it.
-- The schema's lock is held until the commit, so positions become visible in their order and without holes,
-- and everything checked here stays true until then.
CREATE FUNCTION append(
    read_ids text[], read_versions integer[],
    command_ids text[], answers text[], event_offsets integer[],
    fired_keys text[], fired_dues timestamptz[],
    stream_ids text[], stream_versions integer[], states text[], folds text[],
    event_streams text[], event_versions integer[], event_ids uuid[], event_types text[],
    event_schemas smallint[], event_keys text[], event_data text[], event_meta text[],
    timer_keys text[], timer_dues timestamptz[], timer_commands text[], timer_bodies text[],
    cancelled_keys text[],
    OUT last_position bigint, OUT moved text[], OUT known text[], OUT late text[]
) LANGUAGE plpgsql
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off
AS $$
DECLARE
    now_ timestamptz;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('omoios/' || current_schema, 0));
    now_ := clock_timestamp();
    moved := ARRAY(
        SELECT r.id FROM unnest(read_ids, read_versions) AS r (id, version)
        LEFT JOIN streams s ON s.id = r.id
        WHERE coalesce(s.version, 0) <> r.version);
    known := ARRAY(SELECT c.id FROM commands c WHERE c.id = ANY (command_ids));
    late := ARRAY(
        SELECT f.key FROM unnest(fired_keys, fired_dues) AS f (key, due_at)
        WHERE NOT EXISTS (SELECT FROM timers t WHERE t.key = f.key AND t.due_at = f.due_at));
    IF cardinality(moved) > 0 OR cardinality(known) > 0 OR cardinality(late) > 0 THEN
        RETURN;
    END IF;
    SELECT coalesce(max(position), 0) INTO last_position FROM events;
    INSERT INTO commands (id, answer, first_position, recorded_at)
        SELECT c.id, c.answer::json, last_position + 1 + c.event_offset, now_
        FROM unnest(command_ids, answers, event_offsets) AS c (id, answer, event_offset);
    IF cardinality(stream_ids) > 0 THEN
        INSERT INTO streams AS s (id, version, state, fold)
            SELECT n.id, n.version, n.state::json, n.fold
            FROM unnest(stream_ids, stream_versions, states, folds) AS n (id, version, state, fold)
            ON CONFLICT (id) DO UPDATE
            SET version = excluded.version, state = excluded.state, fold = excluded.fold;
    END IF;
    IF cardinality(event_ids) > 0 THEN
        INSERT INTO events (position, stream, version, id, type, schema, key, data, meta, recorded_at)
            SELECT last_position + e.ordinal, e.stream, e.version, e.id, e.type, e.schema, e.key,
                   e.data::jsonb, e.meta::jsonb, now_
            FROM unnest(event_streams, event_versions, event_ids, event_types, event_schemas, event_keys,
                        event_data, event_meta)
                WITH ORDINALITY AS e (stream, version, id, type, schema, key, data, meta, ordinal);
        last_position := last_position + cardinality(event_ids);
    END IF;
    IF cardinality(fired_keys) > 0 OR cardinality(cancelled_keys) > 0 THEN
        DELETE FROM timers WHERE key = ANY (fired_keys) OR key = ANY (cancelled_keys);
    END IF;
    IF cardinality(timer_keys) > 0 THEN
        INSERT INTO timers (key, due_at, set_at, command, body)
            SELECT t.key, t.due_at, now_, t.command, t.body::json
            FROM unnest(timer_keys, timer_dues, timer_commands, timer_bodies) AS t (key, due_at, command, body)
            ON CONFLICT (key) DO UPDATE
            SET due_at = excluded.due_at, set_at = excluded.set_at, command = excluded.command,
                body = excluded.body, claimed_until = '-infinity';
    END IF;
END
$$;
