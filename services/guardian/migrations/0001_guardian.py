"""The kernel's tables, and the indexes of what is granted and of interventions."""

from alembic import op
from alembic.operations import Operations
from sqlalchemy import Column, DateTime, Index, MetaData, SmallInteger, Table, Text
from sqlalchemy.dialects.postgresql import JSONB

from shared.kernel.schema import install_kernel, install_tables

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """The kernel's tables and the indexes; one finds in the log what policies did."""
    tables = MetaData()
    _granted(tables)
    _interventions(tables)
    operations = Operations(op.get_context())
    install_kernel(operations, "guardian")
    install_tables(operations, "guardian", tables)
    op.execute(
        "CREATE INDEX policy_triggers ON guardian.events (position)"
        " WHERE type IN ('guardian.policy_triggered', 'guardian.policy_missed')"
    )


def _granted(tables: MetaData) -> None:
    Table(
        "granted",
        tables,
        Column("actor", Text, primary_key=True),
        Column("level", SmallInteger, nullable=False),
        Column("reason", Text, nullable=False),
        Column("granted_by", Text, nullable=False),
        Column("granted_at", DateTime(timezone=True), nullable=False),
        Column("expires_at", DateTime(timezone=True)),
    )


def _interventions(tables: MetaData) -> None:
    interventions = Table(
        "interventions",
        tables,
        Column("intervention_id", Text, primary_key=True),
        Column("intended", JSONB, nullable=False),
        Column("status", Text, nullable=False),
        Column("ticket_id", Text),
        Column("reason", Text, nullable=False),
        Column("actor", Text, nullable=False),
        Column("approver", Text),
        Column("policy", Text),
        Column("caused_by", Text),
        Column("at", DateTime(timezone=True), nullable=False),
    )
    by_age = (interventions.c.at.desc(), interventions.c.intervention_id.desc())
    Index("interventions_by_age", *by_age)
    Index("interventions_by_status", interventions.c.status, *by_age)
    Index("interventions_by_ticket", interventions.c.ticket_id, *by_age)
