"""How far the read models are."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Label, Select, column, func, literal_column, select, table

from services.projection.tables import READ_MODELS
from shared.contracts.projection import ModelState, ProjectionStatus, ProjectionView, ReadModelView
from shared.kernel.declaration import ReadModel
from shared.kernel.journal import code_of, journal, read_models
from shared.kernel.reading import Reading
from shared.kernel.rebuild import RUNNING, copy_name

CODE = {model.name: code_of(model) for model in READ_MODELS}
checkpoints = table("checkpoints", column("consumer"), column("source"), column("position"))


async def projection_status(_: ProjectionStatus, reading: Reading) -> ProjectionView:
    """Counts every row: it is meant for people, not for a probe."""
    [found] = await reading.rows(
        select(
            select(func.coalesce(func.max(journal.c.sequence), 0)).scalar_subquery().label("sequence"),
            _heard().scalar_subquery().label("sources"),
            _noted().scalar_subquery().label("noted"),
            literal_column(RUNNING).label("running"),
            *(part for model in READ_MODELS for part in _of_table(model)),
        )
    )
    views = tuple(_view(model, found) for model in READ_MODELS)
    return ProjectionView(
        sequence=found["sequence"], sources=tuple(found["sources"] or ()), read_models=views
    )


def _heard() -> Select[Any]:
    """The consumer is named like the journal that it fills."""
    newest = (journal.c.source == checkpoints.c.source) & (journal.c.position == checkpoints.c.position)
    heard = (
        select(checkpoints.c.source, checkpoints.c.position, journal.c.at)
        .outerjoin_from(checkpoints, journal, newest)
        .where(checkpoints.c.consumer == journal.name)
        .order_by(checkpoints.c.source)
        .subquery("heard")
    )
    return select(func.jsonb_agg(func.to_jsonb(literal_column("heard")))).select_from(heard)


def _noted() -> Select[Any]:
    notes = func.to_jsonb(literal_column(read_models.name))
    return select(func.jsonb_object_agg(read_models.c.name, notes)).select_from(read_models)


def _of_table(model: ReadModel) -> tuple[Label[Any], Label[Any]]:
    rows = select(func.count()).select_from(model.table).scalar_subquery()
    old = func.to_regclass(copy_name(model.name, "old")).is_not(None)
    return rows.label(f"{model.name}_rows"), old.label(f"{model.name}_old")


def _view(model: ReadModel, found: Mapping[str, Any]) -> ReadModelView:
    noted = (found["noted"] or {}).get(model.name, {})
    return ReadModelView(
        name=model.name,
        state=_state(noted.get("state"), found),
        rows=found[f"{model.name}_rows"],
        code_changed=bool(found["sequence"]) and noted.get("code") != CODE[model.name],
        can_roll_back=found[f"{model.name}_old"],
        changed_at=noted.get("changed_at"),
        build_sequence=noted.get("build_sequence"),
        last_rebuild=noted.get("report"),
    )


def _state(noted: ModelState | None, found: Mapping[str, Any]) -> ModelState:
    if noted == "building" and not found["running"]:
        return "interrupted"
    return noted or ("missing" if found["sequence"] else "live")
