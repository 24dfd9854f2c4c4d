"""The kernel's tables and the indexes of tasks and locks."""

from alembic import op
from alembic.operations import Operations
from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Double,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
)
from sqlalchemy.dialects.postgresql import JSONB

from shared.kernel.schema import install_kernel, install_tables

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

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
    "CREATE TRIGGER rooms_after_insert AFTER INSERT ON task_index"
    " REFERENCING NEW TABLE AS after FOR EACH STATEMENT EXECUTE FUNCTION refresh_rooms()",
    "CREATE TRIGGER rooms_after_update AFTER UPDATE ON task_index"
    " REFERENCING OLD TABLE AS before NEW TABLE AS after FOR EACH STATEMENT EXECUTE FUNCTION refresh_rooms()",
    "CREATE TRIGGER ready_after_insert AFTER INSERT ON task_index"
    " REFERENCING NEW TABLE AS after FOR EACH STATEMENT EXECUTE FUNCTION count_ready()",
    "CREATE TRIGGER ready_after_update AFTER UPDATE ON task_index"
    " REFERENCING OLD TABLE AS before NEW TABLE AS after FOR EACH STATEMENT EXECUTE FUNCTION count_ready()",
)


def upgrade() -> None:
    """The kernel's tables and the indexes of tasks and locks."""
    tables = MetaData()
    task_index = Table(
        "task_index",
        tables,
        Column("task_id", Text, primary_key=True),
        Column("ticket_id", Text, nullable=False),
        Column("phase_id", Text, nullable=False),
        Column("visit", Integer, nullable=False),
        Column("task_type", Text, nullable=False),
        Column("title", Text, nullable=False),
        Column("priority", Text, nullable=False),
        Column("status", Text, nullable=False),
        Column("ended", Boolean, nullable=False),
        Column("held", Boolean, nullable=False),
        Column("lane", Text(collation="C")),
        Column("rank", Double),
        Column("ready_at", DateTime(timezone=True)),
        Column("agent_id", Text),
        Column("depends_on", ARRAY(Text), nullable=False),
        Column("resources", ARRAY(Text), nullable=False),
        Column("room", Text(collation="C")),
        Column("hall", Text(collation="C")),
        Column("workflow", Text),
        Column("ticket_limit", Integer),
        Column("workflow_limit", Integer),
    )
    _index_tasks(task_index)
    _add_rooms(tables)
    _add_agents_and_locks(tables)
    _add_attempts(tables)
    operations = Operations(op.get_context())
    install_kernel(operations, "scheduler")
    install_tables(operations, "scheduler", tables)
    for statement in (NEEDS_OF, REFRESH_ROOMS, COUNT_READY, *TRIGGERS):
        op.execute(statement)


def _index_tasks(task_index: Table) -> None:
    columns = task_index.c
    Index(
        "task_index_by_rank",
        columns.lane,
        columns.rank,
        columns.task_id,
        postgresql_where=columns.lane.is_not(None) & columns.room.is_(None),
    )
    Index(
        "task_index_by_room",
        columns.room,
        columns.rank,
        columns.task_id,
        postgresql_where=columns.room.is_not(None),
    )
    Index(
        "task_index_by_ticket_and_rank",
        columns.ticket_id,
        columns.lane,
        columns.rank,
        columns.task_id,
        postgresql_where=columns.lane.is_not(None) & columns.room.is_(None),
    )
    Index("task_index_by_agent", columns.agent_id, postgresql_where=columns.agent_id.is_not(None))
    Index("task_index_by_ticket", columns.ticket_id, columns.ended, columns.task_id)
    Index("task_index_by_ready_at", columns.ready_at, postgresql_where=columns.lane.is_not(None))


def _add_rooms(tables: MetaData) -> None:
    task_room = Table(
        "task_room",
        tables,
        Column("room", Text(collation="C"), primary_key=True),
        Column("corridor", Text(collation="C"), nullable=False),
        Column("need", Text),
        Column("hall", Text(collation="C"), nullable=False),
        Column("lane", Text(collation="C"), nullable=False),
        Column("rank", Double, nullable=False),
        Column("task_id", Text, nullable=False),
        Column("resources", ARRAY(Text), nullable=False),
        Column("ticket_id", Text, nullable=False),
        Column("workflow", Text),
        Column("ticket_limit", Integer),
        Column("workflow_limit", Integer),
    )
    Index("task_room_by_rank", task_room.c.corridor, task_room.c.rank, task_room.c.task_id)
    Index(
        "task_room_by_ticket",
        task_room.c.ticket_id,
        task_room.c.corridor,
        task_room.c.rank,
        task_room.c.task_id,
    )
    task_corridor = Table(
        "task_corridor",
        tables,
        Column("corridor", Text(collation="C"), primary_key=True),
        Column("need", Text),
        Column("hall", Text(collation="C"), nullable=False),
        Column("lane", Text(collation="C"), nullable=False),
        Column("rank", Double, nullable=False),
        Column("task_id", Text, nullable=False),
        Column("resources", ARRAY(Text), nullable=False),
        Column("ticket_id", Text, nullable=False),
        Column("workflow", Text),
        Column("ticket_limit", Integer),
        Column("workflow_limit", Integer),
    )
    Index("task_corridor_by_rank", task_corridor.c.hall, task_corridor.c.rank, task_corridor.c.task_id)
    Table(
        "room_need",
        tables,
        Column("need", Text(collation="C"), primary_key=True),
        Column("rooms", Integer, nullable=False),
    )


def _add_agents_and_locks(tables: MetaData) -> None:
    Table(
        "ready_count",
        tables,
        Column("phase_id", Text, primary_key=True),
        Column("priority", Text, primary_key=True),
        Column("count", BigInteger, nullable=False),
    )
    Table(
        "share_index",
        tables,
        Column("share_id", Text(collation="C"), primary_key=True),
        Column("running", Integer, nullable=False),
    )
    agent_index = Table(
        "agent_index",
        tables,
        Column("agent_id", Text, primary_key=True),
        Column("capabilities", ARRAY(Text), nullable=False),
        Column("phases", ARRAY(Text), nullable=False),
        Column("capacity", Integer),
    )
    Index("agent_index_by_capabilities", agent_index.c.capabilities, postgresql_using="gin")
    lock_index = Table(
        "lock_index",
        tables,
        Column("resource_key", Text(collation="C"), primary_key=True),
        Column("holders", JSONB, nullable=False),
        Column("waiting", JSONB, nullable=False),
        Column("who", ARRAY(Text), nullable=False),
    )
    Index("lock_index_by_who", lock_index.c.who, postgresql_using="gin")
    Table(
        "assignment_index",
        tables,
        Column("task_id", Text, primary_key=True),
        Column("request", Integer, nullable=False),
        Column("requested_at", DateTime(timezone=True), nullable=False),
    )


def _add_attempts(tables: MetaData) -> None:
    attempt_index = Table(
        "attempt_index",
        tables,
        Column("attempt_id", Text(collation="C"), primary_key=True),
        Column("task_id", Text, nullable=False),
        Column("ticket_id", Text, nullable=False),
        Column("phase_id", Text, nullable=False),
        Column("task_type", Text, nullable=False),
        Column("attempt", Integer, nullable=False),
        Column("claim_epoch", Integer, nullable=False),
        Column("agent_id", Text, nullable=False),
        Column("claimed_at", DateTime(timezone=True), nullable=False),
        Column("started_at", DateTime(timezone=True)),
        Column("ended_at", DateTime(timezone=True)),
        Column("outcome", Text, nullable=False),
        Column("error", Text),
    )
    for named in ("task_id", "ticket_id", "agent_id", "outcome"):
        Index(
            f"attempt_index_by_{named}",
            attempt_index.c[named],
            attempt_index.c.claimed_at,
            attempt_index.c.attempt_id,
        )
    Index("attempt_index_by_time", attempt_index.c.claimed_at, attempt_index.c.attempt_id)
