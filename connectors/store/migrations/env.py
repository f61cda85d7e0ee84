"""What Alembic runs for each command: the connection comes from migrate.py, in whose transaction everything happens."""

from alembic import context

from connectors.store.metadata import METADATA

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=METADATA,
    version_table_schema=METADATA.schema,
    include_schemas=True,
)
with context.begin_transaction():
    context.run_migrations()
