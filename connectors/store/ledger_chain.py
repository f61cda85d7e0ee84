"""The ledger's hash chain in the store: where it is broken, its last head, and the heads that were signed."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, RowMapping, text
from sqlalchemy.dialects.postgresql import insert

from connectors.store import chain_sql
from connectors.store.chain_tables import LEDGER_HEAD

# Table, kind of group, what names a row, its link.
_TABLES = (
    ("consent_event", "event", "event_id::text", chain_sql.EVENT_LINK),
    ("consent_void", "void", "encode(event_key, 'hex')", chain_sql.VOID_LINK),
)


@dataclass(frozen=True, slots=True)
class Broken:
    """One broken link: in which group of the chain (None: in none), at which of its rows, which row by id, and how."""

    what: str
    group_no: int | None
    row_no: int | None = None
    row_id: str | None = None


@dataclass(frozen=True, slots=True)
class SignedHead:
    """A head as it was signed, and the chain's head at that group now (None: there is no such group any more)."""

    group_no: int
    head: bytes
    signed_at: datetime
    key_id: str
    signature: bytes
    head_now: bytes | None


def find_broken(conn: Connection, *, limit: int = 100) -> list[Broken]:
    """Every broken link there is, up to `limit` of each kind, in the order of the chain."""
    found = [*_rows(conn, limit), *_groups(conn, limit), *_heads(conn, limit), *_evidence(conn, limit)]
    return sorted(found, key=place_of)


def place_of(broken: Broken) -> tuple[int, int]:
    """Where a broken link stands: groups in the order of the chain, each row of one before the group as a whole."""
    last = 2**63
    return (
        last if broken.group_no is None else broken.group_no,
        last if broken.row_no is None else broken.row_no,
    )


def _rows(conn: Connection, limit: int) -> Iterator[Broken]:
    for table, kind, row_id, link in _TABLES:
        names = {"table": table, "id": row_id, "link": link}
        for row in _all(conn, chain_sql.CHANGED_ROWS.format(**names), limit):
            yield Broken(f"{kind}_changed", row["group_no"], row["nth"], str(row["id"]))
        for row in _all(conn, chain_sql.STRAY_ROWS.format(**names), limit):
            yield Broken(f"{kind}_of_no_group", None, row["nth"], str(row["id"]))


def _groups(conn: Connection, limit: int) -> Iterator[Broken]:
    for table, kind, _, _ in _TABLES:
        statement = chain_sql.CHANGED_GROUPS.format(table=table, kind=kind)
        for row in _all(conn, statement, limit):
            missing = row["missing"] or [None]
            what = f"{kind}_missing" if row["found"] < row["row_count"] else f"{kind}s_not_as_written"
            yield from (Broken(what, row["group_no"], nth) for nth in missing)


def _heads(conn: Connection, limit: int) -> Iterator[Broken]:
    for row in _all(conn, chain_sql.BROKEN_HEADS, limit):
        what = (
            "group_missing_before" if row["is_gap"] else "group_out_of_order" if row["is_unlinked"] else "head_changed"
        )
        yield Broken(what, row["group_no"])


def _evidence(conn: Connection, limit: int) -> Iterator[Broken]:
    for row in _all(conn, chain_sql.CHANGED_EVIDENCE, limit):
        yield Broken("evidence_changed", row["group_no"], row["nth"], str(row["id"]))


def iter_wordings(conn: Connection) -> Iterator[RowMapping]:
    """Each wording that is kept, by its hash: wording_hash, text, language, version."""
    pages = {"stream_results": True, "yield_per": 1000}
    yield from conn.execute(text(chain_sql.WORDINGS), execution_options=pages).mappings()


def last_group(conn: Connection) -> tuple[int, bytes] | None:
    """The number and head of the chain's last group; None where nothing was ever appended."""
    row = conn.execute(text(chain_sql.LAST_GROUP)).one_or_none()
    return None if row is None else (row.group_no, bytes(row.head))


def last_head(conn: Connection) -> tuple[int, datetime] | None:
    """The group that was signed last, and when."""
    row = conn.execute(text(chain_sql.LAST_HEAD)).one_or_none()
    return None if row is None else (row.group_no, row.signed_at)


def add_head(conn: Connection, head: SignedHead) -> None:
    """Keep a signed head; one group is signed once."""
    told = {column.name: getattr(head, column.name) for column in LEDGER_HEAD.columns}
    conn.execute(insert(LEDGER_HEAD).values(told).on_conflict_do_nothing())


def signed_heads(conn: Connection) -> list[SignedHead]:
    """All signed heads, oldest first."""
    return [
        SignedHead(
            r.group_no, bytes(r.head), r.signed_at, r.key_id, bytes(r.signature), r.head_now and bytes(r.head_now)
        )
        for r in conn.execute(text(chain_sql.HEADS))
    ]


def counts(conn: Connection) -> dict[str, int]:
    """How many events, voids, groups and rows of evidence there are."""
    return dict(conn.execute(text(chain_sql.COUNTS)).mappings().one())


def _all(conn: Connection, statement: str, limit: int) -> list[RowMapping]:
    return list(conn.execute(text(statement), {"limit": limit}).mappings())
