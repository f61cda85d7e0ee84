"""What was counted of participants stays once some of their registrations are gone."""

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None


def upgrade() -> None:
    final = sa.Column("is_final", sa.Boolean(), server_default=sa.false(), nullable=False)
    op.add_column("participation", final, schema="intake")
    op.execute("grant update (is_final) on intake.participation to intake_retention")


def downgrade() -> None:
    op.drop_column("participation", "is_final", schema="intake")
