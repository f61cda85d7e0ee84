"""The rows of which something was let go as a child's have an index: each merge asks whether it brings one again."""

from alembic import op

revision = "0038"
down_revision = "0037"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute(
        "create index ix_row_outcome_child on intake.row_outcome (submission_id) where 'withheld:child' = any (effects)"
    )


def downgrade() -> None:
    op.execute("drop index intake.ix_row_outcome_child")
