"""Rows depend on what each service said, not on which service was heard first."""

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from services.projection.tables import READ_MODELS
from shared.contracts.messages import Event
from tests.projection.anything import careers, histories, interleaved
from tests.projection.records import folded


@settings(max_examples=50, deadline=None)
@given((histories | careers).flatmap(lambda events: st.tuples(st.just(events), interleaved(events))))
def test_services_may_be_heard_in_any_order(orders: tuple[list[Event], list[Event]]) -> None:
    one, another = orders
    assert folded(one) == folded(another)


@settings(max_examples=50, deadline=None)
@given(histories)
def test_a_row_comes_back_from_its_table_as_it_went_there(events: list[Event]) -> None:
    rows = folded(events)
    for model in READ_MODELS:
        adapter = TypeAdapter(model.row)
        for row in rows[model.name].values():
            assert orjson.loads(orjson.dumps(adapter.validate_python(row))) == row


def test_a_row_has_the_columns_of_its_table() -> None:
    for model in READ_MODELS:
        columns = [column.name for column in model.table.columns]
        assert list(model.row.__dataclass_fields__) == columns
