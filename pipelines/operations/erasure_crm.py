"""Erasing people from the CRM: rows of ours go with their change history, and are read back as proof that they are gone.

A contact that others use (made by a user not ours, or led to by a row of `crm.in_use_tables` that such a user made) is
not ours to delete: what we wrote is cleared, consent is lowered, and its owner has a dated task to decide about it.
What is not done when the CRM fails stays open, and is done the next time: each step may be repeated.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol
from uuid import UUID, uuid5

from sqlalchemy import RowMapping

from connectors.dataverse import Membership, RowResult, TableName
from connectors.store import erasure as store
from connectors.store.tombstones import KEY_NAME
from pipelines.operations.delivery import table_name
from pipelines.operations.doctor.guard import reasons_to_refuse
from pipelines.operations.in_use import (
    MADE_BY,
    OWNER,
    TASKS,
    Question,
    UsedCrm,
    decider,
    due_at,
    is_made_by,
    our_users,
    task_about,
    users_of,
)
from pipelines.operations.own_organisation import NamedCrm, require_own_organisation
from pipelines.operations.sessions import Session
from pipelines.transforms.minimise import membership_id
from schemas.errors import CrmUnavailable
from schemas.tables import CONSENT, CONTACT, LIST_MEMBER, REGISTRATION, ConsentValue

CLEARED = ("firstname", "lastname", "emailaddress1", "mobilephone", "crmi_preferencelink")
_FLAGS = {"donotbulkemail": True, "followemail": False}
_OPTED_OUT = {"msdynmkt_value": int(ConsentValue.OPTED_OUT)}
_ORDER = (REGISTRATION.logical_name, CONSENT.logical_name, CONTACT.logical_name)
_MEMBERS = LIST_MEMBER.logical_name

Key = tuple[str, UUID]


class ErasableCrm(UsedCrm, NamedCrm, Protocol):
    """What erasing needs of the CRM's client."""

    def fetch_rows(
        self, table: TableName, ids: Sequence[str], select: Sequence[str]
    ) -> dict[str, dict[str, object]]: ...

    def update_existing(self, table: TableName, rows: Sequence[Mapping[str, object]]) -> list[RowResult]: ...

    def upsert_many(self, table: TableName, rows: Sequence[Mapping[str, object]]) -> list[RowResult]: ...

    def delete_many(self, table: TableName, ids: Sequence[str]) -> list[RowResult]: ...

    def remove_list_members(self, members: Sequence[Membership]) -> list[RowResult]: ...

    def delete_change_history(self, table: TableName, ids: Sequence[str]) -> int: ...


@dataclass
class CrmErasure:
    """What the CRM let go. `gone` rows were read back as absent, by table; `cleared` are others' rows, with a task each."""

    gone: Counter[str] = field(default_factory=Counter)
    cleared: Counter[str] = field(default_factory=Counter)
    history_entries: int = 0
    tasks: int = 0
    open: int = 0
    opted_out_kept: int = 0


def finish_in_crm(session: Session, crm: ErasableCrm) -> CrmErasure:
    """Let the CRM forget what is still open of every erasure. To be called as the writer.

    CrmMisconfigured where the store belongs to another CRM: what is not there would pass for erased.
    """
    require_own_organisation(session, crm)
    done = CrmErasure()
    with session.transaction() as conn:
        rows = store.open_rows(conn)
    by_erasure: dict[UUID, list[RowMapping]] = {}
    for row in rows:
        by_erasure.setdefault(row["erasure_id"], []).append(row)
    for erasure_id, of_one in by_erasure.items():
        states = _Erasing(session, crm, of_one, done).run()
        with session.under_retention() as retention, retention.transaction() as conn:
            store.close_rows(conn, erasure_id, states, at=session.now)
    with session.under_retention() as retention, retention.transaction() as conn:
        store.finish_erasures(conn, at=session.now)
        done.open = len(store.open_rows(conn))
    return done


class _Erasing:
    """One erasure in the CRM, from what is there now."""

    def __init__(self, session: Session, crm: ErasableCrm, rows: Sequence[RowMapping], done: CrmErasure) -> None:
        self.session, self.crm, self.rows, self.done = session, crm, rows, done
        self.ours = our_users(crm)
        self.policy = session.workspace.policy
        self.made_by_us = {row["row_id"] for row in rows if row["is_ours"]}

    def run(self) -> dict[Key, str]:
        contacts = self._read(CONTACT.logical_name, [*CLEARED, *_FLAGS, MADE_BY, OWNER])
        self.made_by_us |= {row_id for row_id, row in contacts.items() if is_made_by(row, self.ours)}
        used = self._users_of(contacts)
        self._lower(contacts, used)
        self._leave_lists(contacts)
        keeps_consents = bool(used) or bool(reasons_to_refuse(self.crm, self.policy))
        kept = self._lower_consents() if keeps_consents else set()
        refused = self._delete(used, kept)
        used |= {row_id: str(contacts[row_id].get(OWNER)) for row_id in refused if row_id in contacts}
        self._clear(contacts, used)
        return self._proven(used, kept)

    def _ids(self, table: str) -> list[UUID]:
        return [row["row_id"] for row in self.rows if row["table_name"] == table]

    def _read(self, table: str, select: Sequence[str]) -> dict[UUID, dict[str, Any]]:
        found = self.crm.fetch_rows(table_name(table), list(map(str, self._ids(table))), select)
        return {UUID(row_id): row for row_id, row in found.items()}

    def _users_of(self, contacts: Mapping[UUID, Mapping[str, Any]]) -> dict[UUID, str]:
        """Of these contacts those that others use, with who is to decide about each."""
        theirs = {row_id: row for row_id, row in contacts.items() if not is_made_by(row, self.ours)}
        made = {row_id: str(row.get(OWNER) or row.get(MADE_BY)).lower() for row_id, row in theirs.items()}
        used = users_of(self.crm, self.policy, sorted(contacts.keys() - theirs.keys()), self.ours)
        return made | {row_id: decider(contacts[row_id], using, self.ours) for row_id, using in used.items()}

    def _lower(self, contacts: Mapping[UUID, Mapping[str, Any]], used: Mapping[UUID, str]) -> None:
        open_ones = [row_id for row_id in used if any(contacts[row_id].get(n) is not v for n, v in _FLAGS.items())]
        self._update(CONTACT.logical_name, [{"contactid": str(row_id), **_FLAGS} for row_id in open_ones])

    def _leave_lists(self, contacts: Iterable[UUID]) -> None:
        members = [
            Membership(str(membership_id(list_id, row_id)), str(list_id), str(row_id))
            for list_id in self.policy.lists()
            for row_id in contacts
        ]
        if members:
            _require_answers(self.crm.remove_list_members(members))

    def _lower_consents(self) -> set[UUID]:
        """The consent rows stay, opted out: they are all that suppresses the address while somebody may mail it."""
        there = self._read(CONSENT.logical_name, ["msdynmkt_value"])
        raised = [row_id for row_id, row in there.items() if row.get("msdynmkt_value") != ConsentValue.OPTED_OUT]
        key = CONSENT.primary_key
        self._update(CONSENT.logical_name, [{key: str(row_id), **_OPTED_OUT} for row_id in raised])
        self.done.opted_out_kept += len(there)
        return set(there)

    def _update(self, table: str, rows: Sequence[Mapping[str, object]]) -> None:
        if rows:
            _require_answers(self.crm.update_existing(table_name(table), rows))

    def _delete(self, used: Mapping[UUID, str], kept: set[UUID]) -> set[UUID]:
        """Delete what is ours, registrations first; the contacts that the CRM will not let go, as others depend on them."""
        refused: set[UUID] = set()
        for table in _ORDER:
            ids = [i for i in self._ids(table) if i not in used and i not in kept]
            results = self.crm.delete_many(table_name(table), list(map(str, ids))) if ids else []
            _require_answers(results)
            refused |= {UUID(result.row_id) for result in results if result.outcome != "acknowledged"}
        return refused

    def _clear(self, contacts: Mapping[UUID, Mapping[str, Any]], used: Mapping[UUID, str]) -> None:
        """Of a contact that others use, the values that are the ones we wrote; then a task for who is to decide."""
        written = {row["row_id"]: row["written"] for row in self.rows if row["table_name"] == CONTACT.logical_name}
        cleared = [
            {"contactid": str(row_id), **dict.fromkeys(columns)}
            for row_id in used
            if (columns := self._ours_on(contacts[row_id], written.get(row_id, {})))
        ]
        self._update(CONTACT.logical_name, cleared)
        tasks = [self._task(row_id, owner) for row_id, owner in used.items()]
        if tasks:
            _require_answers(self.crm.upsert_many(TASKS, tasks))
            self.done.tasks += len(tasks)

    def _ours_on(self, contact: Mapping[str, Any], written: Mapping[str, str]) -> list[str]:
        keys = {key.key_id: key for key in self.session.workspace.keys.all_keys(KEY_NAME)}
        return [
            name
            for name in CLEARED
            if contact.get(name) is not None
            and (known := written.get(name)) is not None
            and store.hashes_of({name: contact[name]}, keys[known.partition(":")[0]])[name] == known
        ]

    def _task(self, row_id: UUID, owner: str) -> dict[str, object]:
        erasure_id, erased_at = self.rows[0]["erasure_id"], self.rows[0]["erased_at"]
        why = "The person asked to be erased (GDPR Art. 17)."
        question = Question(why, due_at(self.policy, erased_at), "Erasure request")
        is_ours = owner.lower() in self.ours
        return task_about(row_id, question, task_id=uuid5(erasure_id, str(row_id)), owner=None if is_ours else owner)

    def _proven(self, used: Mapping[UUID, str], kept: set[UUID]) -> dict[Key, str]:
        """Read every row again: what is not there is gone, with its history; what others use is cleared."""
        states: dict[Key, str] = {(_MEMBERS, row_id): "gone" for row_id in self._ids(_MEMBERS)}
        for table in sorted({row["table_name"] for row in self.rows} - {_MEMBERS}, key=_ORDER.index):
            there = self._read(table, [])
            gone = [row_id for row_id in self._ids(table) if row_id not in there]
            forgotten = [str(row_id) for row_id in gone if row_id in self.made_by_us]
            if forgotten:
                self.done.history_entries += self.crm.delete_change_history(table_name(table), forgotten)
            states |= {(table, row_id): "gone" for row_id in gone}
            states |= {(table, row_id): "cleared" for row_id in there if row_id in used or row_id in kept}
            self.done.gone[table] += len(gone)
        self.done.cleared.update(table for (table, _), state in states.items() if state == "cleared")
        return states


def _require_answers(results: Sequence[RowResult]) -> None:
    """CrmUnavailable where the answer for a row was lost: it is read again the next time."""
    if any(result.outcome == "unresolved" for result in results):
        raise CrmUnavailable("The CRM lost an answer while erasing. Run `crm-intake privacy erase --finish` again.")
