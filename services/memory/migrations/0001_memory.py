"""The kernel's tables, the indexes of memories, discoveries and patterns, and the vectors beside them."""

from importlib.resources import files

from alembic import op
from alembic.operations import Operations
from sqlalchemy import (
    ARRAY,
    Boolean,
    Column,
    Computed,
    DateTime,
    Double,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    text,
)
from sqlalchemy.dialects.postgresql import TSVECTOR

from shared.kernel.database import role_of
from shared.kernel.schema import execute_script, install_kernel, install_tables

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

LEAST = (0, 8)
"""Version of pgvector: the first whose scans go on until enough is found."""
WORDS = (
    "setweight(to_tsvector('english'::regconfig, summary), 'A') || "
    "setweight(to_tsvector('english'::regconfig, goal), 'B') || "
    "setweight(to_tsvector('english'::regconfig, details), 'C')"
)


def upgrade() -> None:
    """Make them all."""
    operations = Operations(op.get_context())
    _vector_extension(operations)
    install_kernel(operations, "memory")
    install_tables(operations, "memory", _tables())
    role = role_of("memory")
    operations.execute(f'GRANT REFERENCES ON memories TO "{role}"')
    operations.execute(f'GRANT CREATE ON SCHEMA memory TO "{role}"')
    operations.execute(f'SET LOCAL ROLE "{role}"')
    execute_script(operations, files("services.memory").joinpath("vectors.sql").read_text())
    operations.execute("RESET ROLE")
    operations.execute(
        "CREATE TRIGGER note_unembedded AFTER INSERT ON memories "
        "FOR EACH ROW EXECUTE FUNCTION note_unembedded()"
    )


def _vector_extension(operations: Operations) -> None:
    """pgvector in the schema `public`; raises RuntimeError with the way out where it cannot be had."""
    database = operations.get_bind()
    installed = (
        "SELECT n.nspname, e.extversion FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace"
    )
    of_vectors = text(f"{installed} WHERE e.extname = 'vector'")
    if database.execute(of_vectors).one_or_none() is None:
        if not database.scalar(text("SELECT 1 FROM pg_available_extensions WHERE name = 'vector'")):
            raise _lacking("this server does not have it", "install pgvector 0.8 or newer on the server")
        if not database.scalar(text("SELECT rolsuper FROM pg_roles WHERE rolname = current_user")):
            raise _lacking(
                "the user who migrates may not make it", "run `CREATE EXTENSION vector` in the database"
            )
        operations.execute("CREATE EXTENSION vector SCHEMA public")
    schema, version = database.execute(of_vectors).one()
    if schema != "public":
        raise _lacking(
            f"it is in the schema {schema}, where services do not look",
            "run `ALTER EXTENSION vector SET SCHEMA public`",
        )
    if tuple(map(int, version.split(".")[:2])) < LEAST:
        raise _lacking(
            f"this database has {version}", "install 0.8 or newer and run `ALTER EXTENSION vector UPDATE`"
        )


def _lacking(why: str, way_out: str) -> RuntimeError:
    return RuntimeError(
        f"The memory service needs the Postgres extension pgvector 0.8 or newer, and {why}. "
        f"Let an administrator {way_out}, then run `omoi migrate` again."
    )


def _tables() -> MetaData:
    tables = MetaData()
    _memories(tables)
    _sightings(tables)
    _patterns(tables)
    return tables


def _memories(tables: MetaData) -> None:
    memories = Table(
        "memories",
        tables,
        Column("memory_id", Text, primary_key=True),
        Column("memory_type", Text, nullable=False),
        Column("summary", Text, nullable=False),
        Column("goal", Text, nullable=False),
        Column("details", Text, nullable=False),
        Column("success", Boolean, nullable=False),
        Column("error_patterns", ARRAY(Text), nullable=False),
        Column("tags", ARRAY(Text), nullable=False),
        Column("task_id", Text),
        Column("attempt", Integer),
        Column("ticket_id", Text),
        Column("phase_id", Text),
        Column("task_type", Text),
        Column("score", Double, nullable=False),
        Column("uses", Integer, nullable=False),
        Column("suggested", Boolean, nullable=False),
        Column("captured", Boolean, nullable=False),
        Column("stored_at", DateTime(timezone=True), nullable=False),
        Column("words", TSVECTOR, Computed(WORDS, persisted=True)),
    )
    Index("memories_by_words", memories.c.words, postgresql_using="gin")
    Index("memories_by_task_type", memories.c.task_type, memories.c.stored_at.desc())
    Index("memories_by_ticket", memories.c.ticket_id)


def _sightings(tables: MetaData) -> None:
    sightings = Table(
        "sightings",
        tables,
        Column("discovery_id", Text, primary_key=True),
        Column("discovery_type", Text, nullable=False),
        Column("task_id", Text, nullable=False),
        Column("task_type", Text, nullable=False),
        Column("phase_id", Text, nullable=False),
        Column("at", DateTime(timezone=True), nullable=False),
    )
    Index("sightings_by_task_type", sightings.c.task_type, sightings.c.at.desc())


def _patterns(tables: MetaData) -> None:
    patterns = Table(
        "patterns",
        tables,
        Column("pattern_id", Text, primary_key=True),
        Column("kind", Text, nullable=False),
        Column("task_type", Text, nullable=False),
        Column("phase_id", Text),
        Column("discovery_type", Text),
        Column("indicators", ARRAY(Text), nullable=False),
        Column("recommended", ARRAY(Text), nullable=False),
        Column("samples", Integer, nullable=False),
        Column("successes", Double, nullable=False),
        Column("failures", Double, nullable=False),
        Column("learned_at", DateTime(timezone=True), nullable=False),
        Column("rated_successes", Double, nullable=False),
        Column("rated_failures", Double, nullable=False),
        Column("rated_at", DateTime(timezone=True)),
    )
    Index("patterns_by_task_type", patterns.c.task_type)
