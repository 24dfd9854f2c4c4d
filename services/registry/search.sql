-- Finding the best agents: lists by word, best first, and what keeps them.
-- Run with search_path set to the registry's schema.

CREATE FUNCTION keep_offers() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'UPDATE' AND (OLD.offered, OLD.cost, OLD.used_at, OLD.terms)
                            = (NEW.offered, NEW.cost, NEW.used_at, NEW.terms) THEN
        RETURN NULL;
    END IF;
    IF TG_OP <> 'INSERT' AND OLD.offered THEN
        DELETE FROM agent_offer o USING unnest(OLD.terms) AS t (term)
            WHERE o.term = t.term AND o.cost = OLD.cost AND o.used_at = OLD.used_at
                  AND o.agent_id = OLD.agent_id;
    END IF;
    IF TG_OP <> 'DELETE' AND NEW.offered THEN
        INSERT INTO agent_offer (term, cost, used_at, agent_id)
            SELECT t.term, NEW.cost, NEW.used_at, NEW.agent_id FROM unnest(NEW.terms) AS t (term);
    END IF;
    RETURN NULL;
END
$$;

CREATE TRIGGER keep_offers AFTER INSERT OR UPDATE OR DELETE ON agent_index
    FOR EACH ROW EXECUTE FUNCTION keep_offers();

-- The best of those who are offered work and have every word of `wanted`, at most `at_most` of them.
-- The shortest list is read from its best end; the others are looked up agent by agent. If that list is long
-- and its first thousand hold too few, the words seldom go together, and the inverted index finds who has all.
CREATE FUNCTION best_agents(wanted text[], at_most integer) RETURNS SETOF text LANGUAGE plpgsql STABLE
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off
AS $$
DECLARE
    probe CONSTANT integer := 1000;
    word text;
    driver text;
    held integer;
    shortest integer := probe + 2;
    answered bigint;
BEGIN
    FOREACH word IN ARRAY wanted LOOP
        SELECT count(*) INTO held FROM (SELECT FROM agent_offer o WHERE o.term = word LIMIT probe + 1) AS few;
        IF held = 0 THEN
            RETURN;
        END IF;
        IF held < shortest THEN
            driver := word;
            shortest := held;
        END IF;
    END LOOP;
    RETURN QUERY
        SELECT o.agent_id
        FROM (SELECT l.agent_id, l.cost, l.used_at FROM agent_offer l WHERE l.term = driver
              ORDER BY l.term, l.cost, l.used_at, l.agent_id LIMIT probe) AS o
        CROSS JOIN LATERAL (SELECT FROM agent_index a WHERE a.agent_id = o.agent_id AND a.terms @> wanted
                            OFFSET 0) AS has_all
        ORDER BY o.cost, o.used_at, o.agent_id LIMIT at_most;
    GET DIAGNOSTICS answered = ROW_COUNT;
    IF answered < at_most AND shortest > probe THEN
        RETURN QUERY
            SELECT a.agent_id FROM agent_index a WHERE a.offered AND a.terms @> wanted
            ORDER BY a.cost, a.used_at, a.agent_id LIMIT at_most;
    END IF;
END
$$;

-- The same for several lists of words, each a JSON array; each agent once.
CREATE FUNCTION best_of_each(lists text[], at_most integer) RETURNS SETOF text LANGUAGE sql STABLE
AS $$
    SELECT DISTINCT found.agent_id
    FROM unnest(lists) AS l (words)
    CROSS JOIN LATERAL best_agents(ARRAY(SELECT jsonb_array_elements_text(l.words::jsonb)), at_most)
        AS found (agent_id)
$$;
