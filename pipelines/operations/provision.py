"""Provisioning: making in the CRM what is ours to make, and telling who must make the rest.

Ours are the column of the preference link, the security role, and, where the policy says so, its purposes, topics and
marketing lists.
Each is looked for first, so that a second time makes nothing; what is there already stays as it is.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol
from uuid import NAMESPACE_OID, uuid5

from connectors.dataverse import TableDefinition, TableName
from connectors.dataverse.odata import string_literal
from pipelines.operations.delivery import table_name
from pipelines.operations.workspace import Workspace, role_of
from pipelines.transforms.diagnosis.facts import CONTACTS, RESTRICTIVE, SOURCES, TRANSACTIONAL
from pipelines.transforms.diagnosis.purpose_rules import KINDS
from schemas.crm_role import CrmRole
from schemas.errors import CrmMisconfigured
from schemas.policy import Policy
from schemas.tables import CONTACT

_NON_RESTRICTIVE = RESTRICTIVE + 1
_ROLE = TableName("roles", "role", "roleid")
_PRIVILEGE = TableName("privileges", "privilege", "privilegeid")
_PURPOSE, _TOPIC, _LIST = (
    TableName(source.entity_set, source.logical_name, source.primary_key)
    for source in (SOURCES["purposes"], SOURCES["topics"], SOURCES["lists"])
)
_HAND_OVER = "An administrator gives it to the application user, and no other."
# A condition for each name; a query takes at most 500.
_NAMES_PER_READ = 50


class Provided(StrEnum):
    """What became of one thing."""

    PRESENT = "present"
    MADE = "made"
    WOULD_BE_MADE = "would be made"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Provision:
    """One thing that the CRM needs of ours; the note says what is left to do for it."""

    what: str
    state: Provided
    note: str = ""


class ReadableCrm(Protocol):
    """What provisioning needs of the CRM's client."""

    def iter_rows(self, table: TableName, select: Sequence[str], *, filter: str | None) -> Iterator[dict[str, Any]]: ...

    def fetch_metadata(self, table: TableName) -> TableDefinition: ...


class Makes(Protocol):
    """What makes things (connectors.dataverse.administration.Administration)."""

    def business_unit(self) -> str: ...

    def create_row(self, table: TableName, row: dict[str, Any]) -> bool: ...

    def create_text_column(self, table: TableName, name: str, *, label: str, max_length: int) -> None: ...

    def fetch_role_privileges(self, role_id: str) -> dict[str, str]: ...

    def add_privileges(self, role_id: str, privilege_ids: Sequence[str]) -> None: ...


def provide(workspace: Workspace, crm: ReadableCrm, makes: Makes, *, dry_run: bool = False) -> list[Provision]:
    """Make what is missing, or with `dry_run` say it. A thing that our user may not make is `refused`.

    Raises CrmUnavailable where an answer was lost or the new column is not shown in time: ask again.
    """
    maker = _Maker(crm, makes, workspace.policy, dry_run=dry_run)
    provisions = [*maker.link_column()]
    if workspace.policy.crm.provision_purposes:
        provisions += maker.purposes()
    return [*provisions, maker.role(role_of(workspace))]


class _Maker:
    """One provisioning of one environment."""

    def __init__(self, crm: ReadableCrm, makes: Makes, policy: Policy, *, dry_run: bool) -> None:
        self._crm = crm
        self._makes = makes
        self._policy = policy
        self._dry_run = dry_run

    def link_column(self) -> Iterator[Provision]:
        """The contact's column for the link to the preference page."""
        name = self._policy.crm.preference_link_column
        if name is None:
            return
        what = f"column {name} of contact"
        if name in self._crm.fetch_metadata(table_name(CONTACT.logical_name)).columns:
            yield Provision(what, Provided.PRESENT)
            return
        length = CONTACT.columns[name].max_length or 500
        yield self._make(
            what,
            lambda: self._makes.create_text_column(
                table_name(CONTACT.logical_name), name, label="Preference link", max_length=length
            ),
        )

    def purposes(self) -> Iterator[Provision]:
        """The policy's purposes, topics and lists, under its ids; commercial and tracking ones Restrictive."""
        there = {name: self._ids(table) for name, table in (("purpose", _PURPOSE), ("topic", _TOPIC))}
        for name, target in self._policy.crm.purposes.items():
            kind = KINDS[target.kind]
            row = {
                "msdynmkt_purposeid": str(target.purpose_id),
                "msdynmkt_name": name,
                "msdynmkt_type": kind,
                "msdynmkt_enforcementmodel": _NON_RESTRICTIVE if kind == TRANSACTIONAL else RESTRICTIVE,
            }
            yield self._row(f"purpose {name}", _PURPOSE, row, there=there["purpose"])
            for topic, topic_id in target.topics.items():
                row = {
                    "msdynmkt_topicid": str(topic_id),
                    "msdynmkt_name": topic,
                    "msdynmkt_purposeId@odata.bind": f"/msdynmkt_purposes({target.purpose_id})",
                }
                yield self._row(f"topic {topic} of {name}", _TOPIC, row, there=there["topic"])
        lists = self._policy.lists()
        present = self._ids(_LIST) if lists else set()
        for list_id, (name, topic) in lists.items():
            row = {"listid": str(list_id), "listname": f"{name} {topic}", "createdfromcode": CONTACTS, "type": False}
            yield self._row(f"list of {topic} of {name}", _LIST, row, there=present)

    def role(self, role: CrmRole) -> Provision:
        """The security role with its privileges. To give it to the application user is for an administrator."""
        what = f"role {role.name}"
        try:
            return self._role(what, role)
        except CrmMisconfigured as error:
            _require_denied(error)
            names = ", ".join(role.privilege_names())
            return Provision(what, Provided.REFUSED, f"An administrator makes it with these privileges: {names}.")

    def _role(self, what: str, role: CrmRole) -> Provision:
        unit = self._makes.business_unit()
        # Units beneath have copies of the role, which take no privilege of their own.
        named = f"name eq {string_literal(role.name)} and _businessunitid_value eq {unit}"
        found = next(iter(self._crm.iter_rows(_ROLE, ["name"], filter=named)), None)
        role_id = None if found is None else str(found["roleid"])
        held = set() if role_id is None else {name.lower() for name in self._makes.fetch_role_privileges(role_id)}
        missing = [name for name in role.privilege_names() if name.lower() not in held]
        if role_id is not None and not missing:
            return Provision(what, Provided.PRESENT, _HAND_OVER)
        if self._dry_run:
            return Provision(what, Provided.WOULD_BE_MADE, f"With {len(missing)} privileges that it has not yet.")
        self._make_role(role, missing, role_id, unit=unit)
        return Provision(what, Provided.MADE, _HAND_OVER)

    def _make_role(self, role: CrmRole, missing: Sequence[str], role_id: str | None, *, unit: str) -> None:
        ids = self._privilege_ids(missing)
        if role_id is None:
            role_id = str(uuid5(NAMESPACE_OID, f"{unit}.{role.name}"))
            bind = f"/businessunits({unit})"
            self._makes.create_row(_ROLE, {"roleid": role_id, "name": role.name, "businessunitid@odata.bind": bind})
        self._makes.add_privileges(role_id, ids)

    def _privilege_ids(self, names: Sequence[str]) -> list[str]:
        """The ids of privileges; CrmMisconfigured names those that the environment does not know."""
        found: dict[str, str] = {}
        for start in range(0, len(names), _NAMES_PER_READ):
            some = " or ".join(f"name eq {string_literal(name)}" for name in names[start : start + _NAMES_PER_READ])
            rows = self._crm.iter_rows(_PRIVILEGE, ["name"], filter=some)
            found |= {str(row["name"]).lower(): str(row["privilegeid"]) for row in rows}
        if unknown := [name for name in names if name.lower() not in found]:
            raise CrmMisconfigured(
                f"The CRM knows no privilege {', '.join(unknown)}. Remedy: install what brings the table, or mend"
                " config/crm_role.yaml."
            )
        return [found[name.lower()] for name in names]

    def _ids(self, table: TableName) -> set[str]:
        return {str(row[table.primary_key]) for row in self._crm.iter_rows(table, [], filter=None)}

    def _row(self, what: str, table: TableName, row: dict[str, Any], *, there: set[str]) -> Provision:
        if row[table.primary_key] in there:
            return Provision(what, Provided.PRESENT)
        return self._make(what, lambda: self._makes.create_row(table, row))

    def _make(self, what: str, making: Callable[[], object]) -> Provision:
        if self._dry_run:
            return Provision(what, Provided.WOULD_BE_MADE)
        try:
            making()
        except CrmMisconfigured as error:
            _require_denied(error)
            return Provision(what, Provided.REFUSED, "Our application user may not make it; an administrator does.")
        return Provision(what, Provided.MADE)


def _require_denied(error: CrmMisconfigured) -> None:
    """Raise an error again unless it says that our user may not."""
    if error.status != 403:
        raise error
