"""The outbox so laid out that claiming touches no index: no index asks for the state, open intents have no end yet."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

_OPEN = "finished_at is null"
_OPEN_STATES = "state in ('waiting', 'pending', 'claimed')"
_UNFINISHED = "state in ('waiting', 'pending', 'claimed', 'refused', 'conflict')"
_NEXT = ["run_id", "phase", "table_name", "method", "intent_id"]


def upgrade() -> None:
    op.create_check_constraint("open", "outbox_intent", f"not ({_OPEN_STATES}) or {_OPEN}", schema="intake")
    for name in ("ix_outbox_open", "ix_outbox_unfinished", "ix_outbox_row"):
        op.drop_index(name, "outbox_intent", schema="intake")
    _make("ix_outbox_next", _NEXT, _OPEN)
    _make("ix_outbox_row", ["row_id"], _OPEN)
    op.create_index("ix_outbox_address", "outbox_intent", ["contact_point_id", "run_id", "phase"], schema="intake")
    op.execute("alter table intake.outbox_intent set (fillfactor = 50)")
    op.execute("alter table intake.crm_row set (fillfactor = 70)")


def downgrade() -> None:
    op.execute("alter table intake.crm_row reset (fillfactor)")
    op.execute("alter table intake.outbox_intent reset (fillfactor)")
    for name in ("ix_outbox_address", "ix_outbox_row", "ix_outbox_next"):
        op.drop_index(name, "outbox_intent", schema="intake")
    _make("ix_outbox_row", ["table_name", "row_id"], "state in ('pending', 'claimed')")
    _make("ix_outbox_unfinished", ["contact_point_id", "phase"], _UNFINISHED)
    _make("ix_outbox_open", ["phase", "intent_id"], _OPEN_STATES)
    op.drop_constraint(op.f("ck_outbox_intent__open"), "outbox_intent", schema="intake")


def _make(name: str, columns: list[str], where: str) -> None:
    op.create_index(name, "outbox_intent", columns, schema="intake", postgresql_where=sa.text(where))
