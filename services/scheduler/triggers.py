"""What the database does itself when a row of a task changes: it keeps the rooms and the counts."""

NEEDS_OF = """
CREATE FUNCTION needs_of(resources text[], ticket_id text, ticket_limit integer) RETURNS SETOF text
LANGUAGE sql IMMUTABLE
AS $$
    SELECT 'lock/' || one FROM unnest(resources) AS one
    UNION ALL SELECT concat('ticket/', ticket_id, '/', ticket_limit) WHERE ticket_limit IS NOT NULL
$$
"""
REFRESH_ROOMS = """
CREATE FUNCTION refresh_rooms() RETURNS trigger LANGUAGE plpgsql
SET search_path FROM CURRENT SET enable_seqscan = off SET enable_bitmapscan = off
AS $$
DECLARE
    touched text[];
    made text[];
    narrowed text[];
    gone text[];
    emptied text[];
BEGIN
    IF TG_OP = 'INSERT' THEN
        touched := ARRAY(SELECT DISTINCT room FROM after WHERE room IS NOT NULL);
    ELSE
        touched := ARRAY(SELECT room FROM before WHERE room IS NOT NULL
                         UNION SELECT room FROM after WHERE room IS NOT NULL);
    END IF;
    IF cardinality(touched) = 0 THEN
        RETURN NULL;
    END IF;
    made := ARRAY(
        SELECT t.room FROM unnest(touched) AS t (room)
        WHERE EXISTS (SELECT FROM task_index i WHERE i.room = t.room)
          AND NOT EXISTS (SELECT FROM task_room r WHERE r.room = t.room));
    INSERT INTO room_need AS n (need, rooms)
        SELECT need, count(*) FROM unnest(made) AS t (room)
        CROSS JOIN LATERAL (SELECT i.* FROM task_index i WHERE i.room = t.room LIMIT 1) AS head
        CROSS JOIN LATERAL needs_of(head.resources, head.ticket_id, head.ticket_limit) AS need
        GROUP BY need
        ON CONFLICT (need) DO UPDATE SET rooms = n.rooms + excluded.rooms;
    WITH written AS (
        INSERT INTO task_room AS r
            (room, corridor, need, hall, lane, rank, task_id, resources, ticket_id, workflow, ticket_limit,
             workflow_limit)
            SELECT head.room, concat_ws(' ', head.hall, most.need), most.need, head.hall, head.lane,
                   head.rank, head.task_id, head.resources, head.ticket_id, head.workflow,
                   head.ticket_limit, head.workflow_limit
            FROM unnest(touched) AS t (room) CROSS JOIN LATERAL (
                SELECT i.* FROM task_index i WHERE i.room = t.room ORDER BY i.rank, i.task_id LIMIT 1
            ) AS head LEFT JOIN LATERAL (
                SELECT n.need FROM needs_of(head.resources, head.ticket_id, head.ticket_limit) AS one (need)
                JOIN room_need n ON n.need = one.need WHERE n.rooms > 8
                ORDER BY n.rooms DESC, n.need LIMIT 1
            ) AS most ON true
            ON CONFLICT (room) DO UPDATE SET rank = excluded.rank, task_id = excluded.task_id
            WHERE (r.rank, r.task_id) IS DISTINCT FROM (excluded.rank, excluded.task_id)
            RETURNING r.corridor
    ) SELECT array_agg(DISTINCT corridor) INTO narrowed FROM written;
    WITH left_ AS (
        DELETE FROM task_room r WHERE r.room = ANY (touched)
            AND NOT EXISTS (SELECT FROM task_index i WHERE i.room = r.room)
            RETURNING r.corridor, r.resources, r.ticket_id, r.ticket_limit
    ), fewer AS (
        UPDATE room_need n SET rooms = n.rooms - lost.rooms FROM (
            SELECT need, count(*) AS rooms
            FROM left_ CROSS JOIN LATERAL needs_of(resources, ticket_id, ticket_limit) AS need GROUP BY need
        ) AS lost WHERE n.need = lost.need RETURNING n.need, n.rooms
    ) SELECT (SELECT array_agg(DISTINCT corridor) FROM left_),
             (SELECT array_agg(need) FROM fewer WHERE rooms = 0) INTO gone, emptied;
    IF emptied IS NOT NULL THEN
        DELETE FROM room_need WHERE need = ANY (emptied);
    END IF;
    IF gone IS NULL AND narrowed IS NULL THEN
        RETURN NULL;
    END IF;
    INSERT INTO task_corridor AS c
        (corridor, need, hall, lane, rank, task_id, resources, ticket_id, workflow, ticket_limit,
         workflow_limit)
        SELECT head.corridor, head.need, head.hall, head.lane, head.rank, head.task_id, head.resources,
               head.ticket_id, head.workflow, head.ticket_limit, head.workflow_limit
        FROM (SELECT unnest(narrowed) UNION SELECT unnest(gone)) AS t (corridor) CROSS JOIN LATERAL (
            SELECT r.* FROM task_room r WHERE r.corridor = t.corridor ORDER BY r.rank, r.task_id LIMIT 1
        ) AS head
        ON CONFLICT (corridor) DO UPDATE SET rank = excluded.rank, task_id = excluded.task_id,
            resources = excluded.resources, ticket_id = excluded.ticket_id,
            ticket_limit = excluded.ticket_limit
        WHERE (c.rank, c.task_id) IS DISTINCT FROM (excluded.rank, excluded.task_id);
    IF gone IS NOT NULL THEN
        DELETE FROM task_corridor c WHERE c.corridor = ANY (gone)
            AND NOT EXISTS (SELECT FROM task_room r WHERE r.corridor = c.corridor);
    END IF;
    RETURN NULL;
END
$$
"""
COUNT_READY = """
CREATE FUNCTION count_ready() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT
AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        INSERT INTO ready_count AS r (phase_id, priority, count)
            SELECT phase_id, priority, count(*) FROM after WHERE lane IS NOT NULL GROUP BY 1, 2
            ON CONFLICT (phase_id, priority) DO UPDATE SET count = r.count + excluded.count;
    ELSE
        INSERT INTO ready_count AS r (phase_id, priority, count)
            SELECT phase_id, priority, sum(n) FROM (
                SELECT phase_id, priority, 1 AS n FROM after WHERE lane IS NOT NULL
                UNION ALL SELECT phase_id, priority, -1 FROM before WHERE lane IS NOT NULL
            ) AS change GROUP BY 1, 2 HAVING sum(n) <> 0
            ON CONFLICT (phase_id, priority) DO UPDATE SET count = r.count + excluded.count;
    END IF;
    RETURN NULL;
END
$$
"""
TRIGGERS = (
    NEEDS_OF,
    REFRESH_ROOMS,
    COUNT_READY,
    "CREATE TRIGGER rooms_after_insert AFTER INSERT ON task_index"
    " REFERENCING NEW TABLE AS after FOR EACH STATEMENT EXECUTE FUNCTION refresh_rooms()",
    "CREATE TRIGGER rooms_after_update AFTER UPDATE ON task_index"
    " REFERENCING OLD TABLE AS before NEW TABLE AS after FOR EACH STATEMENT EXECUTE FUNCTION refresh_rooms()",
    "CREATE TRIGGER ready_after_insert AFTER INSERT ON task_index"
    " REFERENCING NEW TABLE AS after FOR EACH STATEMENT EXECUTE FUNCTION count_ready()",
    "CREATE TRIGGER ready_after_update AFTER UPDATE ON task_index"
    " REFERENCING OLD TABLE AS before NEW TABLE AS after FOR EACH STATEMENT EXECUTE FUNCTION count_ready()",
)
