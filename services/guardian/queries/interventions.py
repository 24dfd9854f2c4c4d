"""Which interventions there are, and how they stand."""

from sqlalchemy import select

from services.guardian.intervention import Intervention, InterventionNotFound
from services.guardian.tables import interventions
from shared.contracts.guardian import (
    GetIntervention,
    InterventionList,
    InterventionSummary,
    InterventionView,
    ListInterventions,
    RevertView,
)
from shared.kernel.reading import Reading


async def get_intervention(query: GetIntervention, reading: Reading) -> InterventionView:
    """One with all that is known of it."""
    intervention = await reading.state(Intervention, query.intervention_id)
    if intervention is None:
        raise InterventionNotFound(query.intervention_id)
    told = {name: value for name, value in vars(intervention).items() if name != "revert"}
    revert = intervention.revert and RevertView.model_validate(vars(intervention.revert))
    return InterventionView.model_validate({**told, "revert": revert})


async def list_interventions(query: ListInterventions, reading: Reading) -> InterventionList:
    """Newest first."""
    columns = interventions.c
    found = select(interventions).order_by(columns.at.desc(), columns.intervention_id.desc())
    if query.status is not None:
        found = found.where(columns.status == query.status)
    if query.ticket_id is not None:
        found = found.where(columns.ticket_id == query.ticket_id)
    rows = await reading.rows(found.limit(query.limit))
    return InterventionList(interventions=tuple(map(InterventionSummary.model_validate, rows)))
