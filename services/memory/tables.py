"""The indexes of memories, discoveries and patterns, and the vectors that stand beside them."""

from typing import Any

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
)
from sqlalchemy.dialects.postgresql import TSVECTOR

from services.memory.memory import Memory
from services.memory.pattern import Pattern
from services.memory.sighting import Sighting
from shared.kernel import declaration
from shared.kernel.declaration import Row

metadata = MetaData()
WORDS = (
    "setweight(to_tsvector('english'::regconfig, summary), 'A') || "
    "setweight(to_tsvector('english'::regconfig, goal), 'B') || "
    "setweight(to_tsvector('english'::regconfig, details), 'C')"
)
"""What a search by words looks at: the summary before the goal before all else."""

_memories = Table(
    "memories",
    MetaData(),
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
)
"""As the append writes them; Postgres adds the words."""

memories = _memories.to_metadata(metadata)
memories.append_column(Column("words", TSVECTOR, Computed(WORDS, persisted=True)))
Index("memories_by_words", memories.c.words, postgresql_using="gin")
Index("memories_by_task_type", memories.c.task_type, memories.c.stored_at.desc())
Index("memories_by_ticket", memories.c.ticket_id)

sightings = Table(
    "sightings",
    metadata,
    Column("discovery_id", Text, primary_key=True),
    Column("discovery_type", Text, nullable=False),
    Column("task_id", Text, nullable=False),
    Column("task_type", Text, nullable=False),
    Column("phase_id", Text, nullable=False),
    Column("at", DateTime(timezone=True), nullable=False),
)
Index("sightings_by_task_type", sightings.c.task_type, sightings.c.at.desc())

patterns = Table(
    "patterns",
    metadata,
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


def _columns(table: Table, state: Any) -> dict[str, Any]:
    names = [column.name for column in table.columns]
    return {name: getattr(state, name) for name in names if hasattr(state, name)}


def memory_row(memory: Memory) -> Row | None:
    """A memory that can be found; a forgotten one has no row, and its vectors go with the row."""
    if not memory.kept:
        return None
    return _columns(_memories, memory) | {"details": details_of(memory)}


def details_of(memory: Memory) -> str:
    """What is worth finding beside summary and goal."""
    told = [*memory.error_patterns, *_texts(memory.result), *memory.tags, memory.task_type or ""]
    return "\n".join(text for text in told if text)


def _texts(value: object) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        return [text for part in value.values() for text in _texts(part)]
    if isinstance(value, list | tuple):
        return [text for part in value for text in _texts(part)]
    return []


def sighting_row(sighting: Sighting) -> Row | None:
    """A discovery."""
    return _columns(sightings, sighting)


def pattern_row(pattern: Pattern) -> Row | None:
    """A pattern that holds."""
    if not pattern.holds:
        return None
    return _columns(patterns, pattern) | {
        "successes": pattern.seen.successes,
        "failures": pattern.seen.failures,
        "learned_at": pattern.seen.at,
        "rated_successes": pattern.rated.successes,
        "rated_failures": pattern.rated.failures,
        "rated_at": pattern.rated.at,
    }


INDEXES = (
    declaration.Index(_memories, Memory, memory_row),
    declaration.Index(sightings, Sighting, sighting_row),
    declaration.Index(patterns, Pattern, pattern_row),
)
