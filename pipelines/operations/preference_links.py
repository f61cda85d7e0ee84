"""Preference links of people: made for the CRM's column, and for a mailing from the CRM's contacts.

A link that the CRM has stays as it is for as long as its key is in the ring, so that rotating the key rewrites nobody.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol
from uuid import UUID

from connectors.dataverse import TableName
from connectors.store.preference_contacts import addresses_without_link, mailable
from pipelines.operations.delivery import table_name
from pipelines.operations.link_maker import LinkMaker, link_maker
from pipelines.operations.sessions import Session
from pipelines.transforms.preference_links import list_unsubscribe_headers, token_in
from schemas.errors import ConfigurationError
from schemas.tables import CONTACT

_ROWS_AT_A_TIME = 5000


class ReadableCrm(Protocol):
    """What making links needs of the CRM's client."""

    def iter_rows(
        self, table: TableName, select: Sequence[str], *, filter: str | None = None
    ) -> Iterator[dict[str, Any]]: ...


@dataclass
class MailingLinks:
    """Links for a mailing, by contact of the CRM; `left_out` counts the contacts that get none, by why."""

    rows: list[dict[str, str]] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)


def mailing_links(session: Session, crm: ReadableCrm, *, purpose: str, topic: str | None = None) -> MailingLinks:
    """A link and its header fields for each contact of the CRM that may have a mailing for a purpose, or a topic of it.

    ConfigurationError where the policy has no such purpose or topic, or no page.
    """
    policy, maker = session.workspace.policy, link_maker(session.workspace)
    known = policy.purposes.get(purpose)
    if known is None or (topic is not None and topic not in known.topics):
        raise ConfigurationError("The policy has no such purpose or topic: see purposes in config/intake.yaml.")
    if maker is None:
        raise ConfigurationError("Set crm.preference_page and crm.preference_link_column in the policy first.")
    links = MailingLinks()
    rows = crm.iter_rows(table_name(CONTACT.logical_name), ["contactid", "donotbulkemail"])
    chunk: list[dict[str, Any]] = []
    for row in rows:
        chunk.append(row)
        if len(chunk) == _ROWS_AT_A_TIME:
            _add(session, links, maker, chunk, (purpose, topic or ""))
            chunk = []
    _add(session, links, maker, chunk, (purpose, topic or ""))
    return links


def _add(
    session: Session, links: MailingLinks, maker: LinkMaker, rows: Sequence[Mapping[str, Any]], what: tuple[str, str]
) -> None:
    shut = {UUID(str(row["contactid"])) for row in rows if row.get("donotbulkemail") is not False}
    ids = [UUID(str(row["contactid"])) for row in rows]
    with session.transaction() as conn:
        found = mailable(conn, ids, purpose=what[0], topic=what[1], now=session.now)
    for row_id in ids:
        known = found.get(row_id)
        if known is None or not known.is_allowed or row_id in shut:
            links.left_out["not_known" if known is None else "not_agreed" if not known.is_allowed else "shut"] += 1
            continue
        link = maker.link(known.contact_point_id, known.link)
        headers = list_unsubscribe_headers(maker.base_url, token_in(link))
        links.rows.append({"contactid": str(row_id), "link": link, **headers})


def fill_links(session: Session) -> int:
    """Have the addresses whose contact lacks its link planned by the next run; returns how many."""
    column = session.workspace.policy.crm.preference_link_column
    if link_maker(session.workspace) is None or column is None:
        raise ConfigurationError("Set crm.preference_page and crm.preference_link_column in the policy first.")
    with session.transaction() as conn:
        return addresses_without_link(conn, column)
