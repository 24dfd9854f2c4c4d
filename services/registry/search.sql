-- Finding the best agents: who has which word, as sets of bits; and lists by word, best first.
-- Run with search_path set to the registry's schema.

-- An agent that has not left has a slot, the number of its bit in the sets of its words; slots are used again.
CREATE FUNCTION take_slot(id text) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    taken integer;
BEGIN
    UPDATE agent_slot SET agent_id = id
        WHERE slot = (SELECT s.slot FROM agent_slot s WHERE s.agent_id IS NULL ORDER BY s.slot LIMIT 1)
        RETURNING slot INTO taken;
    IF NOT FOUND THEN
        INSERT INTO agent_slot (slot, agent_id)
            VALUES (coalesce((SELECT max(s.slot) + 1 FROM agent_slot s), 0), id) RETURNING slot INTO taken;
    END IF;
    RETURN taken;
END
$$;

-- Everybody has the word `*`; the set of those who are offered work takes its place.
CREATE FUNCTION words_of(agent agent_index) RETURNS text[] LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN agent.agent_id IS NULL OR agent.status = 'TERMINATED' THEN '{}'
                WHEN agent.offered THEN array_replace(agent.terms, '*', 'offered')
                ELSE array_remove(agent.terms, '*') END
$$;

-- Sets are kept in chunks of 2,048 slots: a change writes so many bits for each word, however many agents there are.
CREATE FUNCTION mark(words text[], slot integer) RETURNS void LANGUAGE sql AS $$
    INSERT INTO agent_set AS s (term, chunk, members)
        SELECT w.term, slot / 2048, set_bit(decode(repeat('00', 256), 'hex'), slot % 2048, 1)
        FROM unnest(words) AS w (term)
        ON CONFLICT (term, chunk) DO UPDATE SET members = set_bit(s.members, slot % 2048, 1)
$$;

CREATE FUNCTION unmark(words text[], slot integer) RETURNS void LANGUAGE sql AS $$
    UPDATE agent_set s SET members = set_bit(s.members, slot % 2048, 0)
        WHERE s.term = ANY (words) AND s.chunk = slot / 2048
$$;

CREATE FUNCTION keep_offers() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    before CONSTANT text[] := words_of(OLD);
    after_ CONSTANT text[] := words_of(NEW);
    id CONSTANT text := coalesce(NEW.agent_id, OLD.agent_id);
    place integer;
BEGIN
    IF TG_OP = 'UPDATE' AND (OLD.cost, OLD.used_at, before) = (NEW.cost, NEW.used_at, after_) THEN
        RETURN NULL;
    END IF;
    SELECT s.slot INTO place FROM agent_slot s WHERE s.agent_id = id;
    IF place IS NULL AND after_ <> '{}' THEN
        place := take_slot(id);
    END IF;
    IF before <> after_ THEN
        PERFORM unmark(ARRAY(SELECT unnest(before) EXCEPT SELECT unnest(after_)), place);
        PERFORM mark(ARRAY(SELECT unnest(after_) EXCEPT SELECT unnest(before)), place);
    END IF;
    IF after_ = '{}' THEN
        UPDATE agent_slot SET agent_id = NULL WHERE slot = place;
    END IF;
    IF 'offered' = ANY (before) THEN
        DELETE FROM agent_offer o USING unnest(OLD.terms) AS t (term)
            WHERE o.term = t.term AND o.cost = OLD.cost AND o.used_at = OLD.used_at AND o.agent_id = id;
    END IF;
    IF 'offered' = ANY (after_) THEN
        INSERT INTO agent_offer (term, cost, used_at, agent_id, slot)
            SELECT t.term, NEW.cost, NEW.used_at, id, place FROM unnest(NEW.terms) AS t (term);
    END IF;
    RETURN NULL;
END
$$;

CREATE TRIGGER keep_offers AFTER INSERT OR UPDATE OR DELETE ON agent_index
    FOR EACH ROW EXECUTE FUNCTION keep_offers();

CREATE FUNCTION sets_of(words text[]) RETURNS TABLE (term text, chunks integer[], members bytea)
LANGUAGE sql STABLE AS $$
    SELECT s.term, array_agg(s.chunk ORDER BY s.chunk), string_agg(s.members, '' ORDER BY s.chunk)
        FROM agent_set s WHERE s.term = ANY (words) GROUP BY s.term
$$;

-- The best `at_most` of each level; a level is who has the same share of the preferred capabilities.
-- Small levels come as slots, each with what it adds to the score. A large one, best first, comes as a set with a
-- word that all of it have: its list is walked until enough of the set are met, or, if `bounded`, until what
-- follows scores less than `at_most` that were found before.
CREATE FUNCTION best_of_levels(
    slots integer[], gains double precision[],
    words text[], sets bytea[], set_gains double precision[],
    at_most integer, bounded boolean
) RETURNS text[] LANGUAGE plpgsql STABLE
SET enable_seqscan = off
AS $$
DECLARE
    ids text[];
    scores double precision[];
    more_ids text[];
    more_costs double precision[];
    least double precision;
    members bytea;
BEGIN
    SELECT array_agg(few.agent_id), array_agg(few.score) INTO ids, scores FROM (
        SELECT a.agent_id, g.gain - a.cost AS score,
               row_number() OVER (PARTITION BY g.gain ORDER BY a.cost, a.used_at, a.agent_id) AS place
            FROM unnest(slots, gains) AS g (slot, gain)
            JOIN agent_slot s ON s.slot = g.slot
            JOIN agent_index a ON a.agent_id = s.agent_id
            WHERE a.offered) AS few
        WHERE few.place <= at_most;
    FOR level IN 1 .. cardinality(words) LOOP
        least := (SELECT found.score FROM unnest(scores) AS found (score) ORDER BY found.score DESC
                  OFFSET at_most - 1 LIMIT 1);
        members := sets[level];
        SELECT array_agg(met.agent_id), array_agg(met.cost) INTO more_ids, more_costs FROM (
            SELECT o.agent_id, o.cost FROM agent_offer o
                WHERE o.term = words[level]
                    AND (NOT bounded OR least IS NULL OR o.cost <= set_gains[level] - least + 1e-6)
                    AND CASE WHEN o.slot < 8 * length(members) THEN get_bit(members, o.slot) = 1 END
                ORDER BY o.term, o.cost, o.used_at, o.agent_id LIMIT at_most) AS met;
        ids := ids || more_ids;
        scores := scores || ARRAY(SELECT set_gains[level] - c.cost FROM unnest(more_costs) AS c (cost));
    END LOOP;
    IF NOT bounded THEN
        RETURN ids;
    END IF;
    least := (SELECT found.score FROM unnest(scores) AS found (score) ORDER BY found.score DESC
              OFFSET at_most - 1 LIMIT 1);
    RETURN ARRAY(SELECT f.id FROM unnest(ids, scores) AS f (id, score)
                 WHERE least IS NULL OR f.score >= least - 1e-6);
END
$$;
