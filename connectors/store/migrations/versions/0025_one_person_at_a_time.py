"""The preference page serves one person at a time: its role is shown no row of anybody whom the transaction does not name.

Tables whose rows bear names or addresses have row-level security; the runs and retention are shown all of each. Of a
submission that nobody is named in (a sign-up that waits for its link) no name or address is kept.
"""

from alembic import op

revision = "0025"
down_revision = "0024"
branch_labels = None
depends_on = None

_NAMED = """
create function intake.{name}() returns {kind}[] language sql stable parallel safe
return coalesce(nullif(current_setting('intake.{name}', true), ''), '{{}}')::{kind}[]
"""
_POINT = "contact_point_id = any (intake.contact_points())"
_TABLES = {
    "contact_point": f"{_POINT} or address_key = any (intake.address_keys())",
    "submission": f"{_POINT} or subject_id is null",
    **dict.fromkeys(("subject", "person", "registration", "mailbox_proof", "person_request"), _POINT),
}
_ADDED = {"contact_point": _TABLES["contact_point"]}


def upgrade() -> None:
    for name, kind in (("contact_points", "uuid"), ("address_keys", "text")):
        op.execute(_NAMED.format(name=name, kind=kind))
        op.execute(f"grant execute on function intake.{name}() to intake_preferences")
    for table, named in _TABLES.items():
        op.execute(f"alter table intake.{table} enable row level security")
        op.execute(f"create policy everybody on intake.{table} to intake_pipeline, intake_retention using (true)")
        added = _ADDED.get(table, _POINT)
        op.execute(f"create policy named on intake.{table} to intake_preferences using ({named}) with check ({added})")
    # Evidence is added by acts and shown by none: only whether it is there already has to be seen.
    op.execute("revoke select on intake.consent_evidence from intake_preferences")
    op.execute("grant select (event_key) on intake.consent_evidence to intake_preferences")


def downgrade() -> None:
    for table in _TABLES:
        op.execute(f"drop policy named on intake.{table}")
        op.execute(f"drop policy everybody on intake.{table}")
        op.execute(f"alter table intake.{table} disable row level security")
    for name in ("contact_points", "address_keys"):
        op.execute(f"drop function intake.{name}()")
    op.execute("grant select on intake.consent_evidence to intake_preferences")
