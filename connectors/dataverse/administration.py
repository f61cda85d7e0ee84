"""Reading and making what surrounds the rows: privileges, roles, columns, configuration rows. Not for runs.

Each request goes alone. What is made is made under a name or an id of ours, so that asking again makes nothing twice.
"""

import time
from collections.abc import Callable, Mapping, Sequence

from connectors.dataverse import odata
from connectors.dataverse.classify import Verdict, verdict_of_write
from connectors.dataverse.contract import Row, TableName, canonical_id
from connectors.dataverse.odata import JSON_CONTENT, Request
from connectors.dataverse.pacing import Pacing
from connectors.dataverse.reading import Reader
from connectors.dataverse.sender import Lane, Sender, misconfigured
from connectors.dataverse.settings import DataverseSettings
from connectors.dataverse.throttle import ThrottleGate
from connectors.dataverse.tokens import Tokens, TokenSource
from connectors.dataverse.wire import Lost, Wire
from schemas.errors import CrmUnavailable

_EXISTS = frozenset({Verdict.RECONCILE, Verdict.RACED})
# A new column may take a while to be seen; the vendor's own SDK looks after these seconds.
_LOOK_AFTER_S = (0.0, 3.0, 10.0, 20.0)


class Administration:
    """One environment as an administrator, or the doctor, sees it.

    Every method may raise `CrmUnavailable` (ask again; nothing is made twice) and `CrmMisconfigured`, with status 403
    where the user may not.
    """

    def __init__(
        self,
        settings: DataverseSettings,
        *,
        tokens: Tokens | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        pacing = Pacing(clock, sleep)
        self._sleep = sleep
        self._wire = Wire(settings)
        lane = Lane(tokens or TokenSource(settings), ThrottleGate(settings.max_parallelism, pacing))
        self._sender = Sender(settings, self._wire, lane=lane, pacing=pacing)
        self._reader = Reader(self._sender, settings.origin)

    def close(self) -> None:
        """Closes pooled connections."""
        self._wire.close()

    def business_unit(self) -> str:
        """The id of our application user's business unit."""
        return str(self._object(odata.read("WhoAmI", {}, label="WhoAmI")).get("BusinessUnitId"))

    def fetch_privileges(self, user_id: str) -> dict[str, str]:
        """A user's privileges through all their roles and teams: name to the widest depth (`Basic` to `Global`).

        https://learn.microsoft.com/power-apps/developer/data-platform/webapi/reference/retrieveuserprivileges
        """
        path = f"systemusers({canonical_id(user_id)})/Microsoft.Dynamics.CRM.RetrieveUserPrivileges"
        return self._privileges(odata.read(path, {}, label="RetrieveUserPrivileges"))

    def fetch_role_privileges(self, role_id: str) -> dict[str, str]:
        """A role's privileges: name to depth."""
        query = {"@role": canonical_id(role_id)}
        path = "RetrieveRolePrivilegesRole(RoleId=@role)"
        return self._privileges(odata.read(path, query, label="RetrieveRolePrivilegesRole"))

    def create_row(self, table: TableName, row: Row) -> bool:
        """Creates a row under the primary key it has; False where there is one already, which stays as it is."""
        body = {name: value for name, value in row.items() if name != table.primary_key}
        path = odata.entity_path(table, canonical_id(row.get(table.primary_key)))
        headers = (*JSON_CONTENT, ("If-None-Match", "*"))
        return self._done(Request("PATCH", path, f"create {table.entity_set}", headers, odata.encode_body(body)))

    def add_privileges(self, role_id: str, privilege_ids: Sequence[str]) -> None:
        """Gives a role privileges at organisation level; those it has stay.

        https://learn.microsoft.com/power-apps/developer/data-platform/webapi/reference/addprivilegesrole
        """
        granted = [{"PrivilegeId": canonical_id(each), "Depth": "Global"} for each in privilege_ids]
        path = f"roles({canonical_id(role_id)})/Microsoft.Dynamics.CRM.AddPrivilegesRole"
        self._done(Request("POST", path, "AddPrivilegesRole", JSON_CONTENT, odata.encode_body({"Privileges": granted})))

    def create_text_column(self, table: TableName, name: str, *, label: str, max_length: int) -> None:
        """Adds a text column and waits until the environment shows it; `CrmUnavailable` where it does not.

        https://learn.microsoft.com/power-apps/developer/data-platform/webapi/create-update-column-definitions-using-web-api
        """
        body = {
            "@odata.type": "Microsoft.Dynamics.CRM.StringAttributeMetadata",
            "SchemaName": name,
            "DisplayName": _label(label),
            "RequiredLevel": {"Value": "None"},
            "MaxLength": max_length,
            "FormatName": {"Value": "Text"},
        }
        path = f"EntityDefinitions(LogicalName='{table.logical_name}')/Attributes"
        self._done(Request("POST", path, f"create column {name}", JSON_CONTENT, odata.encode_body(body)))
        self._await_column(path, name)

    def _await_column(self, path: str, name: str) -> None:
        select = odata.read(path, {"$select": "LogicalName"}, label=f"look for column {name}")
        # Past the metadata cache of the server that happens to answer.
        request = Request("GET", select.target, select.label, (*select.headers, ("Consistency", "Strong")))
        for pause_s in _LOOK_AFTER_S:
            if pause_s:
                self._sleep(pause_s)
            if any(item.get("LogicalName") == name.lower() for item in self._reader.rows(request, ())):
                return
        raise CrmUnavailable(f"Column {name} was made and is not shown yet. Remedy: run again in a minute.")

    def _privileges(self, request: Request) -> dict[str, str]:
        depths: dict[str, str] = {}
        for granted in _listed(self._object(request).get("RolePrivileges")):
            name, depth = str(granted.get("PrivilegeName")), str(granted.get("Depth"))
            depths[name] = max(depth, depths.get(name, depth), key=_width)
        return depths

    def _object(self, request: Request) -> dict[str, object]:
        return self._sender.read_json(request, self._sender.deadline())[1]

    def _done(self, request: Request) -> bool:
        answer = self._sender.send(request, self._sender.deadline())
        verdict = Verdict.UNCERTAIN if isinstance(answer, Lost) else verdict_of_write(answer)
        if verdict is Verdict.DONE:
            return True
        if isinstance(answer, Lost) or 200 <= answer.status < 300:
            raise CrmUnavailable(f"{request.label}: the answer was lost. Remedy: run again; nothing is made twice.")
        if verdict in _EXISTS:
            return False
        raise misconfigured(request.label, answer)


_DEPTHS = ("Basic", "Local", "Deep", "Global")


def _width(depth: str) -> int:
    """How wide a depth is; one that we do not know is the narrowest."""
    return _DEPTHS.index(depth) if depth in _DEPTHS else -1


def _listed(value: object) -> Sequence[Mapping[str, object]]:
    return value if isinstance(value, list) else ()


def _label(text: str) -> dict[str, object]:
    localised = {"@odata.type": "Microsoft.Dynamics.CRM.LocalizedLabel", "Label": text, "LanguageCode": 1033}
    return {"@odata.type": "Microsoft.Dynamics.CRM.Label", "LocalizedLabels": [localised]}
