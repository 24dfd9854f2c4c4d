"""Whose the tables of the projection are, and what their indexes are called."""

from services.projection.tables import READ_MODELS, metadata
from tests.projection.records import Records


async def test_the_journal_and_the_read_models_belong_to_the_role_that_rebuilds_them(
    records: Records,
) -> None:
    owners = await records.fetch(
        "SELECT tablename FROM pg_tables WHERE schemaname = 'projection' AND tableowner = 'omoi_projection'"
    )
    tables = {table.name for model in READ_MODELS for table in model.tables}
    assert {row["tablename"] for row in owners} == {*tables, "journal", "read_models"}


def test_an_index_is_named_after_its_table() -> None:
    for table in metadata.tables.values():
        for index in table.indexes:
            assert str(index.name).startswith(f"{table.name}_")
