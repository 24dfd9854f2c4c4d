-- The vectors of memories, one partition a model, and how memories are found by them and by their words.
-- Run with search_path set to memory's schema, as the role of the service: it makes partitions for new models.

CREATE TABLE embedding_models (
    id smallint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    provider text NOT NULL,
    model text NOT NULL,
    version text NOT NULL,
    UNIQUE (provider, model, version)
);

CREATE TABLE embeddings (
    memory_id text NOT NULL REFERENCES memories ON DELETE CASCADE,
    model_id smallint NOT NULL REFERENCES embedding_models,
    vector vector(1536),  -- none where the model makes none of this text; then `problem` says why
    problem text NOT NULL DEFAULT '',
    made_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (memory_id, model_id),
    CHECK ((vector IS NULL) = (problem <> ''))
) PARTITION BY LIST (model_id);

-- Memories that today's model has not seen yet, the first ones first.
CREATE TABLE unembedded (
    memory_id text PRIMARY KEY REFERENCES memories ON DELETE CASCADE,
    place bigint GENERATED ALWAYS AS IDENTITY
);
CREATE INDEX unembedded_by_place ON unembedded (place);

CREATE FUNCTION note_unembedded() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO unembedded (memory_id) VALUES (NEW.memory_id) ON CONFLICT DO NOTHING;
    RETURN NULL;
END
$$;

CREATE FUNCTION model_id_of(provider_ text, model_ text, version_ text) RETURNS smallint
LANGUAGE sql STABLE AS $$
    SELECT id FROM embedding_models WHERE (provider, model, version) = (provider_, model_, version_)
$$;

-- Take a model into use: make its partition, and line up every memory that it has not seen.
CREATE FUNCTION use_model(provider_ text, model_ text, version_ text, OUT model_id_ smallint)
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('omoios/memory/models', 0));
    model_id_ := model_id_of(provider_, model_, version_);
    IF model_id_ IS NULL THEN
        INSERT INTO embedding_models (provider, model, version) VALUES (provider_, model_, version_)
            RETURNING id INTO model_id_;
        EXECUTE format('CREATE TABLE embeddings_%s PARTITION OF embeddings FOR VALUES IN (%s)',
                       model_id_, model_id_);
        -- Half precision halves the graph. The numbers are those that reach the recall of `benchmarks memory`.
        EXECUTE format('CREATE INDEX embeddings_%s_nearest ON embeddings_%s'
                       ' USING hnsw ((vector::halfvec(1536)) halfvec_cosine_ops)'
                       ' WITH (m = 24, ef_construction = 128)', model_id_, model_id_);
    END IF;
    INSERT INTO unembedded (memory_id)
        SELECT m.memory_id FROM memories m
        WHERE NOT EXISTS (SELECT FROM embeddings e
                          WHERE e.memory_id = m.memory_id AND e.model_id = model_id_)
        ORDER BY m.stored_at, m.memory_id
        ON CONFLICT DO NOTHING;
END
$$;

-- Keep what a model made of memories; those that were forgotten meanwhile are left out.
CREATE FUNCTION keep_vectors(model_id_ smallint, memory_ids text[], vectors text[], problems text[])
RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    kept integer;
BEGIN
    PERFORM FROM memories WHERE memory_id = ANY (memory_ids) ORDER BY memory_id FOR KEY SHARE;
    INSERT INTO embeddings (memory_id, model_id, vector, problem)
        SELECT m.memory_id, model_id_, n.vector::vector, n.problem
        FROM unnest(memory_ids, vectors, problems) AS n (memory_id, vector, problem)
        JOIN memories m ON m.memory_id = n.memory_id
        ON CONFLICT (memory_id, model_id) DO UPDATE
        SET vector = excluded.vector, problem = excluded.problem, made_at = excluded.made_at;
    GET DIAGNOSTICS kept = ROW_COUNT;
    DELETE FROM unembedded WHERE memory_id = ANY (memory_ids);
    RETURN kept;
END
$$;

CREATE TYPE memory_filter AS (
    memory_type text, task_type text, ticket_id text, success boolean, suggested boolean
);

CREATE FUNCTION narrowed(
    memory_type text, task_type text, ticket_id text, success boolean, suggested boolean
) RETURNS memory_filter LANGUAGE sql IMMUTABLE AS $$
    SELECT ROW(memory_type, task_type, ticket_id, success, suggested)::memory_filter
$$;

CREATE FUNCTION passes(m memories, f memory_filter) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$
    SELECT (f.memory_type IS NULL OR m.memory_type = f.memory_type)
       AND (f.task_type IS NULL OR m.task_type = f.task_type)
       AND (f.ticket_id IS NULL OR m.ticket_id = f.ticket_id)
       AND (f.success IS NULL OR m.success = f.success)
       AND (f.suggested IS NULL OR m.suggested = f.suggested)
$$;

-- How near some memories are, as far as they have vectors of the model.
CREATE FUNCTION cosines(model_id_ smallint, wanted vector, memory_ids text[])
RETURNS TABLE (memory_id text, cosine double precision) LANGUAGE sql STABLE AS $$
    SELECT e.memory_id, 1 - (e.vector <=> wanted) FROM embeddings e
    WHERE e.memory_id = ANY (memory_ids) AND e.model_id = model_id_ AND e.vector IS NOT NULL
$$;

-- The memories nearest to a vector, among the vectors of one model. The graph is walked on (an iterative scan)
-- until enough of them pass the filter, or 20,000 were looked at. Where a ticket or a type of task has few
-- memories they are all compared instead: hardly any of them would be met on the way.
CREATE FUNCTION nearest(model_id_ smallint, wanted vector, filter memory_filter, at_most integer)
RETURNS TABLE (memory_id text, cosine double precision) LANGUAGE plpgsql STABLE
SET enable_seqscan = off SET enable_sort = off
SET hnsw.ef_search = 120 SET hnsw.iterative_scan = relaxed_order
AS $$
DECLARE
    few CONSTANT integer := 500;
    near text;
    found text[] := '{}';
BEGIN
    IF model_id_ IS NULL THEN
        RETURN;
    END IF;
    IF filter.ticket_id IS NOT NULL THEN
        found := ARRAY(SELECT m.memory_id FROM memories m
                       WHERE m.ticket_id = filter.ticket_id AND passes(m, filter) LIMIT few + 1);
    ELSIF filter.task_type IS NOT NULL THEN
        found := ARRAY(SELECT m.memory_id FROM memories m
                       WHERE m.task_type = filter.task_type AND passes(m, filter) LIMIT few + 1);
    END IF;
    IF coalesce(filter.ticket_id, filter.task_type) IS NULL OR cardinality(found) > few THEN
        found := '{}';
        FOR near IN EXECUTE format(
            'SELECT e.memory_id FROM embeddings_%s e ORDER BY e.vector::halfvec(1536) <=> $1::halfvec(1536) LIMIT %s',
            model_id_, CASE WHEN filter IS NULL THEN at_most ELSE 20000 END) USING wanted
        LOOP
            IF filter IS NULL OR EXISTS (
                SELECT FROM memories m WHERE m.memory_id = near AND passes(m, filter)
            ) THEN
                found := found || near;
                EXIT WHEN cardinality(found) >= at_most;
            END IF;
        END LOOP;
    END IF;
    RETURN QUERY SELECT c.memory_id, c.cosine FROM cosines(model_id_, wanted, found) c
        ORDER BY c.cosine DESC, c.memory_id LIMIT at_most;
END
$$;

-- The words of a text as the index holds them, the rarest first, and how many memories are expected to have one
-- of those up to it. The planner's statistics know the frequent words; all others are taken for rare.
CREATE FUNCTION words_of(wanted text) RETURNS TABLE (word text, up_to double precision)
LANGUAGE sql STABLE AS $$
    WITH known AS MATERIALIZED (
        SELECT w.word, w.frequency
        FROM pg_stats s, unnest(s.most_common_elems::text::text[], s.most_common_elem_freqs) AS w (word, frequency)
        WHERE s.schemaname = current_schema AND s.tablename = 'memories' AND s.attname = 'words'
    ), sought AS (
        SELECT t.word, coalesce(k.frequency, 0) AS frequency
        FROM unnest(tsvector_to_array(to_tsvector('english', wanted))) AS t (word) LEFT JOIN known k USING (word)
        ORDER BY 2, length(t.word) DESC, 1 LIMIT 64
    )
    SELECT s.word, sum(s.frequency) OVER (ORDER BY s.frequency, length(s.word) DESC, s.word)
                   * (SELECT greatest(reltuples, 0) FROM pg_class WHERE oid = 'memories'::regclass)
    FROM sought s ORDER BY s.frequency, length(s.word) DESC, s.word
$$;

-- Any of these words. A word stands in quotes; a quote or a backslash in it is doubled.
CREATE FUNCTION any_of(words text[]) RETURNS tsquery LANGUAGE sql IMMUTABLE AS $$
    SELECT string_agg('''' || replace(replace(w, '\', '\\'), '''', '''''') || '''', ' | ')::tsquery
    FROM unnest(words) AS w
$$;

-- The memories with the words of a text, ranked by all of them. Looked at are those with its rarest words:
-- as many words as several hundred memories have, and the rarest one in any case.
CREATE FUNCTION with_words(wanted text, filter memory_filter, at_most integer)
RETURNS TABLE (memory_id text, rank real) LANGUAGE plpgsql STABLE
SET enable_seqscan = off
AS $$
DECLARE
    every tsquery;
    rare tsquery;
BEGIN
    SELECT any_of(array_agg(w.word)), any_of(array_agg(w.word) FILTER (WHERE w.place = 1 OR w.up_to <= 600))
        INTO every, rare
        FROM (SELECT o.*, row_number() OVER (ORDER BY o.up_to) AS place FROM words_of(wanted) o) AS w;
    IF every IS NULL THEN
        RETURN;
    END IF;
    RETURN QUERY
        SELECT c.memory_id, ts_rank(c.words, every)
        FROM (SELECT m.memory_id, m.words FROM memories m
              WHERE m.words @@ rare AND (filter IS NULL OR passes(m, filter)) LIMIT 1200) AS c
        ORDER BY 2 DESC, 1 LIMIT at_most;
END
$$;

-- What of each memory becomes a vector.
CREATE FUNCTION texts_of(memory_ids text[]) RETURNS TABLE (memory_id text, text text) LANGUAGE sql STABLE AS $$
    SELECT m.memory_id, concat_ws(chr(10), m.summary, nullif(m.goal, ''), nullif(m.details, ''))
    FROM memories m WHERE m.memory_id = ANY (memory_ids) ORDER BY 1
$$;

-- The model of a memory's vector: the one that is named, if it made one or said why not, else the newest.
CREATE FUNCTION made_by(wanted text, provider_ text, model_ text, version_ text)
RETURNS TABLE (provider text, model text, version text, problem text) LANGUAGE sql STABLE AS $$
    SELECT m.provider, m.model, m.version, e.problem
    FROM embeddings e JOIN embedding_models m ON m.id = e.model_id
    WHERE e.memory_id = wanted
    ORDER BY (m.provider, m.model, m.version) = (provider_, model_, version_) DESC, e.made_at DESC LIMIT 1
$$;
