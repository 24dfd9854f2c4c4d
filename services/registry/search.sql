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
-- All lists are in the same order, so they are walked together, each to the place where another one stands
-- (a zigzag join): a word that nobody has, that few have, or that only the busiest have is soon passed.
-- When so many steps find too few, the words seldom go together, and the inverted index finds who has all.
-- `seldom` says so; who asks for more words than seldom go together can say so at once.
CREATE FUNCTION best_agents(wanted text[], at_most integer, INOUT seldom boolean, OUT answer text[])
LANGUAGE plpgsql STABLE
SET enable_seqscan = off
AS $$
DECLARE
    steps CONSTANT integer := CASE WHEN seldom THEN 0 ELSE 60 + 16 * at_most END;
    words CONSTANT integer := cardinality(wanted);
    here agent_offer;
    met agent_offer;
    word integer := 1;
    agreed integer := 0;
BEGIN
    IF words = 1 THEN
        answer := ARRAY(SELECT o.agent_id FROM agent_offer o WHERE o.term = wanted[1]
                        ORDER BY o.term, o.cost, o.used_at, o.agent_id LIMIT at_most);
        RETURN;
    END IF;
    answer := '{}';
    here.cost := '-infinity';
    here.used_at := 0;
    here.agent_id := '';
    FOR step IN 1 .. steps LOOP
        IF agreed = words THEN
            answer := answer || here.agent_id;
            EXIT WHEN cardinality(answer) = at_most;
            agreed := 0;
            SELECT * INTO met FROM agent_offer o
                WHERE o.term = wanted[word] AND (o.cost, o.used_at, o.agent_id) > (here.cost, here.used_at, here.agent_id)
                ORDER BY o.term, o.cost, o.used_at, o.agent_id LIMIT 1;
        ELSE
            SELECT * INTO met FROM agent_offer o
                WHERE o.term = wanted[word] AND (o.cost, o.used_at, o.agent_id) >= (here.cost, here.used_at, here.agent_id)
                ORDER BY o.term, o.cost, o.used_at, o.agent_id LIMIT 1;
        END IF;
        IF NOT FOUND THEN
            RETURN;
        END IF;
        agreed := CASE WHEN met.agent_id = here.agent_id THEN agreed + 1 ELSE 1 END;
        here := met;
        word := word % words + 1;
    END LOOP;
    IF cardinality(answer) < at_most THEN
        seldom := true;
        answer := ARRAY(SELECT a.agent_id FROM agent_index a WHERE a.offered AND a.terms @> wanted
                        ORDER BY a.cost, a.used_at, a.agent_id LIMIT at_most);
    END IF;
END
$$;

-- The same for several lists of words, each a JSON array, the short ones first; some agents come twice.
-- A list with all the words of one that found fewer than it might have would find only the same ones, and
-- words that seldom go together do so no more often with others beside them.
CREATE FUNCTION best_of_each(lists text[], at_most integer) RETURNS SETOF text LANGUAGE plpgsql STABLE
AS $$
DECLARE
    list text;
    exhausted jsonb[] := '{}';
    rare jsonb[] := '{}';
    found_ record;
BEGIN
    FOREACH list IN ARRAY lists LOOP
        CONTINUE WHEN EXISTS (SELECT FROM unnest(exhausted) AS e (words) WHERE list::jsonb @> e.words);
        SELECT * INTO found_ FROM best_agents(
            ARRAY(SELECT jsonb_array_elements_text(list::jsonb)), at_most,
            EXISTS (SELECT FROM unnest(rare) AS r (words) WHERE list::jsonb @> r.words));
        RETURN QUERY SELECT unnest(found_.answer);
        IF cardinality(found_.answer) < at_most THEN
            exhausted := exhausted || list::jsonb;
        ELSIF found_.seldom THEN
            rare := rare || list::jsonb;
        END IF;
    END LOOP;
END
$$;
