"""The indexes of what is granted, and of interventions."""

from dataclasses import asdict

from sqlalchemy import Column, DateTime, Index, MetaData, SmallInteger, Table, Text
from sqlalchemy.dialects.postgresql import JSONB

from services.guardian.grant import Grant
from services.guardian.intervention import Intervention
from shared.kernel import declaration
from shared.kernel.declaration import Row

metadata = MetaData()

granted = Table(
    "granted",
    metadata,
    Column("actor", Text, primary_key=True),
    Column("level", SmallInteger, nullable=False),
    Column("reason", Text, nullable=False),
    Column("granted_by", Text, nullable=False),
    Column("granted_at", DateTime(timezone=True), nullable=False),
    Column("expires_at", DateTime(timezone=True)),
)
"""Who has been granted what. The kernel's own table `grants` is what the doors know of it."""


def granted_row(grant: Grant) -> Row | None:
    """A grant that holds."""
    return asdict(grant) if grant.holds else None


interventions = Table(
    "interventions",
    metadata,
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
_by_age = (interventions.c.at.desc(), interventions.c.intervention_id.desc())
Index("interventions_by_age", *_by_age)
Index("interventions_by_status", interventions.c.status, *_by_age)
Index("interventions_by_ticket", interventions.c.ticket_id, *_by_age)


def intervention_row(intervention: Intervention) -> Row:
    """An intervention as it is listed."""
    told = {column.name: getattr(intervention, column.name) for column in interventions.columns}
    return {**told, "intended": intervention.aim.model_dump(mode="json")}


INDEXES = (
    declaration.Index(granted, Grant, granted_row),
    declaration.Index(interventions, Intervention, intervention_row),
)
