"""The index of loaded workflows."""

from sqlalchemy import Column, MetaData, Table, Text

from services.phase.workflow import NamedWorkflow
from shared.kernel.declaration import Index, Row

metadata = MetaData()

workflows = Table(
    "workflows",
    metadata,
    Column("name", Text, primary_key=True),
    Column("version", Text, nullable=False),
)


def row(state: NamedWorkflow) -> Row:
    """A workflow is found by its name, with the version that new tickets pin."""
    return {"name": state.name, "version": state.version}


WORKFLOWS = Index(workflows, NamedWorkflow, row)
