"""The ledger's hash chain: links in the rows, groups that take their place at commit, signed heads.

What is there already becomes the chain's first groups; events commit to all of their evidence from now on.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

# The forms of connectors.store.chain_sql as of this revision.
_DIGEST = "sha256(convert_to(concat_ws(chr(31), {}), 'UTF8'))"
_COMMITTED = (
    "encode(v.salt, 'hex')",
    *("v.submission_id", "v.address", "v.given_name", "v.family_name", "v.wording_hash", "v.notice_version"),
    *("v.channel", "v.collected_by", "v.method"),
)
_EVENT = (
    *("event_id", "encode(event_key, 'hex')", "subject_id", "contact_point_id", "purpose", "topic", "value", "actor"),
    *("clock", "extract(epoch from occurred_at)", "precision_s", "extract(epoch from effective_at)"),
    *("extract(epoch from received_at)", "reason", "source", "batch_id", "encode(commitment, 'hex')"),
    *("extract(epoch from recorded_at)", "reading_id", "encode(base_key, 'hex')", "group_id", "nth"),
)
_VOID = (
    *("encode(event_key, 'hex')", "encode(base_key, 'hex')", "reading_id", "batch_id", "undo_run_id"),
    *("extract(epoch from voided_at)", "group_id", "nth"),
)
_HEAD = (
    *("chained.group_no", "chained.group_id", "chained.kind", "chained.row_count", "chained.last_nth"),
    *("encode(chained.digest, 'hex')", "extract(epoch from chained.chained_at)"),
)

# The lock is held from here to the end of the commit, so nobody waits for longer than that.
_CHAIN = """
create function intake.chain_group() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
    chained intake.ledger_group := new;
begin
    perform pg_advisory_xact_lock(hashtextextended('crm-intake ledger chain', 0));
    select g.group_no + 1, g.head into chained.group_no, chained.previous
    from intake.ledger_group g where g.group_no is not null order by g.group_no desc limit 1;
    chained.group_no := coalesce(chained.group_no, 1);
    chained.previous := coalesce(chained.previous, ''::bytea);
    chained.chained_at := clock_timestamp();
    update intake.ledger_group g
    set group_no = chained.group_no, previous = chained.previous, chained_at = chained.chained_at,
        head = sha256(chained.previous || {head})
    where g.group_id = new.group_id;
    return null;
end
$$
"""


def _digest(fields: tuple[str, ...]) -> str:
    return _DIGEST.format(", ".join(f"coalesce(({field})::text, '')" for field in fields))


def upgrade() -> None:
    _tables()
    op.execute(_CHAIN.format(head=_digest(_HEAD)))
    op.execute("revoke all on function intake.chain_group() from public")
    op.execute(
        "create constraint trigger chain_group after insert on intake.ledger_group"
        " deferrable initially deferred for each row execute function intake.chain_group()"
    )
    op.execute(
        f"update intake.consent_event e set commitment = {_digest(_COMMITTED)}"
        " from intake.consent_evidence v where v.event_key = e.event_key"
    )
    _link("consent_event", "event", "recorded_at, event_key", _digest(_EVENT))
    _link("consent_void", "void", "voided_at, event_key", _digest(_VOID))
    for table in ("ledger_group", "ledger_head"):
        op.execute(f"revoke update, delete, truncate on intake.{table} from intake_pipeline")
        op.execute(f"grant select on intake.{table} to intake_retention")
    op.execute("grant insert on intake.ledger_group to intake_preferences")


def downgrade() -> None:
    op.drop_table("ledger_head", schema="intake")
    op.drop_table("ledger_group", schema="intake")
    op.execute("drop function intake.chain_group()")
    for table in ("consent_event", "consent_void"):
        for column in ("link", "nth", "group_id"):
            op.drop_column(table, column, schema="intake")


def _tables() -> None:
    for table in ("consent_event", "consent_void"):
        op.add_column(table, sa.Column("group_id", sa.UUID()), schema="intake")
        op.add_column(table, sa.Column("nth", sa.Integer()), schema="intake")
        op.add_column(table, sa.Column("link", postgresql.BYTEA()), schema="intake")
    op.create_table(
        "ledger_group",
        sa.Column("group_id", sa.UUID(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("row_count", sa.Integer(), nullable=False),
        sa.Column("last_nth", sa.Integer(), nullable=False),
        sa.Column("digest", postgresql.BYTEA(), nullable=False),
        sa.Column("group_no", sa.BigInteger(), nullable=True),
        sa.Column("previous", postgresql.BYTEA(), nullable=True),
        sa.Column("head", postgresql.BYTEA(), nullable=True),
        sa.Column("chained_at", postgresql.TIMESTAMP(timezone=True), nullable=True),
        sa.CheckConstraint("kind in ('event', 'void')", name=op.f("ck_ledger_group__kind")),
        sa.PrimaryKeyConstraint("group_id", name=op.f("pk_ledger_group")),
        sa.UniqueConstraint("group_no", name=op.f("uq_ledger_group__group_no")),
        schema="intake",
    )
    op.create_table(
        "ledger_head",
        sa.Column("group_no", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("head", postgresql.BYTEA(), nullable=False),
        sa.Column("signed_at", postgresql.TIMESTAMP(timezone=True), nullable=False),
        sa.Column("key_id", sa.Text(), nullable=False),
        sa.Column("signature", postgresql.BYTEA(), nullable=False),
        sa.PrimaryKeyConstraint("group_no", name=op.f("pk_ledger_head")),
        schema="intake",
    )


def _link(table: str, kind: str, order: str, link: str) -> None:
    """All rows that are there as one group."""
    op.execute(
        f"update intake.{table} t set nth = n.nth, group_id = n.group_id from ("
        f" select event_key, row_number() over (order by {order}) as nth, g.group_id"
        f" from intake.{table}, (select gen_random_uuid() as group_id) g) n where n.event_key = t.event_key"
    )
    op.execute(f"update intake.{table} set link = {link}")
    op.execute(
        "insert into intake.ledger_group (group_id, kind, row_count, last_nth, digest)"
        f" select group_id, '{kind}', count(*), max(nth), sha256(string_agg(link, ''::bytea order by nth))"
        f" from intake.{table} group by group_id"
    )
