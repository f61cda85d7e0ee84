"""Static marketing lists: putting contacts on them, taking them off, and looking who is on them.

A membership is a row of `listmember` that the CRM makes by an action and keys by itself, so it is addressed by its list
and contact; adding one that is there already changes nothing.
https://learn.microsoft.com/dynamics365/customer-engagement/web-api/addlistmemberslist
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from connectors.dataverse import odata
from connectors.dataverse.contract import RowResult, TableName, canonical_id
from connectors.dataverse.reading import JsonRow, Reader
from connectors.dataverse.writing import Writer
from schemas.errors import CrmMisconfigured, CrmUnavailable

LIST_MEMBERS = TableName("listmembers", "listmember", "listmemberid")
_LIST, _CONTACT = "_listid_value", "_entityid_value"
# One condition for each; a query takes at most 500.
_CONTACTS_PER_READ = 100


@dataclass(frozen=True, slots=True)
class Membership:
    """A contact on a list, under the name that the caller has for it."""

    row_id: str
    list_id: str
    contact_id: str


def add(writer: Writer, members: Sequence[Membership]) -> list[RowResult]:
    """Put contacts on their lists, those of one list in bulk; the result of each, by its own name.

    `CrmUnavailable` and `CrmMisconfigured` only while nothing has been executed; afterwards who was not sent is
    unresolved with `NOT_EXECUTED`.
    """
    results: dict[str, RowResult] = {}
    try:
        for list_id, of_one in _by_list(members).items():
            targets = {one.row_id: odata.member_target(canonical_id(one.contact_id)) for one in of_one}
            results |= {one.row_id: one for one in writer.add_to_list(LIST_MEMBERS, canonical_id(list_id), targets)}
    except (CrmUnavailable, CrmMisconfigured) as error:
        if not results:
            raise
        results = {one.row_id: RowResult.unsent(one.row_id, error) for one in members} | results
    return list(results.values())


def remove(reader: Reader, writer: Writer, members: Sequence[Membership]) -> list[RowResult]:
    """Take contacts off their lists; one that is not on it is acknowledged."""
    keys = {str(row[LIST_MEMBERS.primary_key]): _pair(row) for row in find(reader, members)}
    deletions = [(key, odata.delete(LIST_MEMBERS, key, headers=writer.headers)) for key in keys]
    results = writer.write(LIST_MEMBERS, deletions, gone_is_done=True) if deletions else []
    failed = {keys[one.row_id]: one for one in results if one.outcome != "acknowledged"}
    return [_result(one, failed.get((canonical_id(one.list_id), canonical_id(one.contact_id)))) for one in members]


def find(reader: Reader, members: Sequence[Membership]) -> list[JsonRow]:
    """The rows of `listmember` that are there of some memberships."""
    found: list[JsonRow] = []
    for list_id, of_one in _by_list(members).items():
        for start in range(0, len(of_one), _CONTACTS_PER_READ):
            some = of_one[start : start + _CONTACTS_PER_READ]
            contacts = " or ".join(f"{_CONTACT} eq {canonical_id(one.contact_id)}" for one in some)
            query = {
                "$select": f"{_LIST},{_CONTACT}",
                "$filter": f"{_LIST} eq {canonical_id(list_id)} and ({contacts})",
            }
            found += reader.rows(odata.read(LIST_MEMBERS.entity_set, query, label="GET listmembers"), ())
    return found


def _pair(row: JsonRow) -> tuple[str, str]:
    return canonical_id(row[_LIST]), canonical_id(row[_CONTACT])


def _result(member: Membership, failed: RowResult | None) -> RowResult:
    if failed is None:
        return RowResult(member.row_id, "acknowledged")
    return RowResult(member.row_id, failed.outcome, failed.status, failed.code, failed.request_id)


def _by_list(members: Iterable[Membership]) -> dict[str, list[Membership]]:
    lists: dict[str, list[Membership]] = {}
    for one in members:
        lists.setdefault(one.list_id, []).append(one)
    return lists
