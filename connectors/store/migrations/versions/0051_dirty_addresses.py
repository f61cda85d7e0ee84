"""Which addresses the CRM is behind of, in a table of their own: a version that changes needs no entry in any index then."""

import sqlalchemy as sa
from alembic import op

revision = "0051"
down_revision = "0050"
branch_labels = None
depends_on = None

_IS_DIRTY = "version > acked_version"

# Only where an address turns from one to the other, or comes or goes as a dirty one.
_TRIGGERS = {
    "insert": "new.version > new.acked_version",
    "update": "(old.version > old.acked_version) is distinct from (new.version > new.acked_version)",
    "delete": "old.version > old.acked_version",
}


def upgrade() -> None:
    op.create_table(
        "dirty_address", sa.Column("contact_point_id", sa.UUID(), nullable=False, primary_key=True), schema="intake"
    )
    op.execute(f"insert into intake.dirty_address select contact_point_id from intake.contact_point where {_IS_DIRTY}")
    op.execute("revoke insert, update, delete, truncate on intake.dirty_address from intake_pipeline")
    op.execute("""
        create function intake.note_dirty() returns trigger language plpgsql security definer set search_path = pg_catalog as $$
        begin
            if tg_op <> 'DELETE' and new.version > new.acked_version then
                insert into intake.dirty_address values (new.contact_point_id) on conflict do nothing;
            else
                delete from intake.dirty_address where contact_point_id = old.contact_point_id;
            end if;
            return null;
        end $$
    """)
    op.execute("revoke all on function intake.note_dirty() from public")
    for act, turns in _TRIGGERS.items():
        op.execute(
            f"create trigger note_dirty_{act} after {act} on intake.contact_point for each row when ({turns})"
            " execute function intake.note_dirty()"
        )
    op.execute("drop index intake.ix_contact_point_dirty")


def downgrade() -> None:
    op.execute(f"create index ix_contact_point_dirty on intake.contact_point (contact_point_id) where {_IS_DIRTY}")
    for act in _TRIGGERS:
        op.execute(f"drop trigger note_dirty_{act} on intake.contact_point")
    op.execute("drop function intake.note_dirty()")
    op.drop_table("dirty_address", schema="intake")
