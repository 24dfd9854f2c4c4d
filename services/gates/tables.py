"""The index of what gates have asked for and not been answered yet."""

from sqlalchemy import Column, DateTime, MetaData, Table, Text

from services.gates.gate import Gate
from services.gates.request import Review, kind_of
from shared.kernel.declaration import Index, Row

metadata = MetaData()

requests = Table(
    "requests",
    metadata,
    Column("gate_id", Text, primary_key=True),
    Column("ticket_id", Text, nullable=False),
    Column("request_id", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("reviewer_kind", Text),
    Column("requested_at", DateTime(timezone=True), nullable=False, index=True),
    Column("not_before", DateTime(timezone=True)),
)


def row(gate: Gate) -> Row | None:
    """A gate is found while somebody is asked."""
    request = gate.open_request
    if request is None:
        return None
    review = request if isinstance(request, Review) else None
    return {
        "gate_id": request.gate_id,
        "ticket_id": request.gate_id.partition(".")[0],
        "request_id": request.request_id,
        "kind": kind_of(request),
        "reviewer_kind": review and review.kind,
        "requested_at": request.requested_at,
        "not_before": review and review.not_before,
    }


REQUESTS = Index(requests, Gate, row)
