"""Runs one service's revisions on the connection that `shared.kernel.schema` has prepared."""

from alembic import context

connection = context.config.attributes["connection"]
service = context.config.attributes["service"]
context.configure(connection=connection, version_table_schema=service, transaction_per_migration=False)
with context.begin_transaction():
    context.run_migrations()
