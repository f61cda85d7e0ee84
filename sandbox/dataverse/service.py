"""The Web API as one function from call to answer: finds the resource, runs its rule, turns refusals into answers."""

from __future__ import annotations

from dataclasses import replace

from .actions import ACTIONS, FUNCTIONS, publish_rule
from .batch import Batch
from .bulk import run_bulk
from .bulk_targets import PREFIX
from .changes import read_changes, wants_changes
from .fetchxml import read_fetch
from .jobs import settle_jobs
from .keys import locate, located_id, settle_keys
from .messages import Answer, Call, Caller, answer_json, answer_refused
from .metadata import SETS, answer_metadata
from .paging import Pages
from .privileges import demand_named
from .provisioning import settle_schema
from .reads import count_rows, read_property, read_row, read_rows
from .refusals import Refused, invalid, unknown_resource, wrong_verb
from .security import ASSOCIATIONS, BOUND_ACTIONS, BOUND_FUNCTIONS, associate_role
from .single import delete, patch_row, post_row, put_property, put_reference
from .sql import read_sql
from .state import Store, TableRows
from .urls import LONGEST_URL, Resource, existing, parse_path, parse_query, rows_of

_MSCRM_HEADERS = {
    "mscrm.suppressduplicatedetection",
    "mscrm.bypassbusinesslogicexecution",
    "mscrm.bypassbusinesslogicexecutionstepids",
    "mscrm.bypasscustompluginexecution",
    "mscrm.suppresscallbackregistrationexpanderjob",
    "mscrm.solutionuniquename",
    "mscrm.mergelabels",
}
_BOUND = {
    "GET": BOUND_FUNCTIONS | ASSOCIATIONS,
    "POST": {**BOUND_ACTIONS, ("duplicaterule", "PublishDuplicateRule"): publish_rule},
}
_BYPASSES = {
    "mscrm.bypassbusinesslogicexecution": "prvBypassCustomBusinessLogic",
    "mscrm.bypassbusinesslogicexecutionstepids": "prvBypassCustomBusinessLogic",
    "mscrm.bypasscustompluginexecution": "prvBypassCustomPlugins",
}


class Service:
    """The Web API of one environment. `handle` never raises for what a client may send."""

    def __init__(self, store: Store, *, strict: bool = True) -> None:
        self.store = store
        self.strict = strict
        self.pages = Pages()

    def handle(self, call: Call) -> Answer:
        """The answer to a call; `committed` tells whether rows were changed for good (or within its change set)."""
        self.settle()
        before = self.store.commits
        try:
            self._check_headers(call)
            answer = self._run(call)
        except Refused as refused:
            refused.message = self.store.options.messages.get(refused.code, refused.message)
            answer = answer_refused(refused, call)
        answer.committed = self.store.commits > before
        return answer

    def settle(self) -> None:
        """Does what is due by now without any request: indexes, new columns, system jobs."""
        settle_keys(self.store)
        settle_schema(self.store)
        settle_jobs(self.store)

    def _run(self, call: Call) -> Answer:
        if call.path.strip("/") == "":
            sets = [{"name": name, "kind": "EntitySet", "url": name} for name in self.store.by_set]
            return answer_json({"@odata.context": f"{call.base_url}$metadata", "value": sets})
        if call.method == "GET" and len(call.base_url) + len(call.path) + len(call.query) > LONGEST_URL * (
            1 + call.is_inner
        ):
            raise Refused(414, "", "The request URL is too long.")
        if call.path == "$batch":
            return Batch(self.store, call, self.handle).run()
        resource = parse_path(call.path)
        if resource.name in SETS:
            return answer_metadata(self.store, call, resource)
        if call.method == "GET" and resource.name in FUNCTIONS:
            return FUNCTIONS[resource.name](self.store, call)
        if resource.name in ACTIONS:
            return self._act(call, resource)
        return self._rows(call, resource, rows_of(self.store, resource.name))

    def _act(self, call: Call, resource: Resource) -> Answer:
        if call.method != "POST" or resource.rest:
            raise unknown_resource()
        return ACTIONS[resource.name](self.store, call)

    def _rows(self, call: Call, resource: Resource, rows: TableRows) -> Answer:
        if resource.key is None:
            return self._collection(call, resource, rows)
        located = locate(self.store, rows, resource.key)
        if call.method == "PATCH" and not resource.rest:
            return patch_row(self.store, call, rows, located)
        row_id = located_id(rows, located)
        if resource.rest:
            return self._part_of_row(call, rows, row_id, resource.rest)
        if call.method == "GET":
            return read_row(self.store, call, rows, row_id)
        if call.method == "DELETE":
            return delete(self.store, call, rows, row_id)
        raise wrong_verb(call.method)

    def _collection(self, call: Call, resource: Resource, rows: TableRows) -> Answer:
        if resource.rest == ["$count"] and call.method == "GET":
            return self._count(call, rows)
        if len(resource.rest) == 1 and resource.rest[0].startswith(PREFIX):
            if call.method != "POST":
                raise unknown_resource()
            return run_bulk(self.store, call, rows, resource.rest[0].removeprefix(PREFIX))
        if resource.rest:
            raise unknown_resource()
        if call.method == "GET":
            return self._read(call, rows)
        if call.method == "POST":
            return post_row(self.store, call, rows)
        raise wrong_verb(call.method)

    def _read(self, call: Call, rows: TableRows) -> Answer:
        options = parse_query(call.query)
        if "fetchXml" in options:
            return read_fetch(self.store, call, rows, options["fetchXml"])
        if "sql" in options:
            return read_sql(self.store, self.pages, call, rows, options["sql"])
        tracked = wants_changes(call)
        return (read_changes if tracked else read_rows)(self.store, self.pages, call, rows)

    def _count(self, call: Call, rows: TableRows) -> Answer:
        if not wants_changes(call):
            return count_rows(self.store, call, rows)
        return read_changes(self.store, self.pages, call, rows, count_only=True)

    def _part_of_row(self, call: Call, rows: TableRows, row_id: str, rest: list[str]) -> Answer:
        if rest[0].startswith(PREFIX) or (rows.table.logical, rest[0].partition("(")[0]) in ASSOCIATIONS:
            return self._bound(call, rows, row_id, rest)
        if len(rest) == 2 and rest[1] == "$ref" and call.method in ("PUT", "DELETE"):
            return put_reference(self.store, call, rows, row_id, rest[0])
        if len(rest) != 1:
            raise unknown_resource()
        if call.method == "GET":
            return read_property(self.store, call, rows, row_id, rest[0])
        if call.method in ("PUT", "DELETE"):
            return put_property(self.store, call, rows, row_id, rest[0])
        raise wrong_verb(call.method)

    def _bound(self, call: Call, rows: TableRows, row_id: str, rest: list[str]) -> Answer:
        """A function, action or association that is bound to a row."""
        existing(rows, row_id)
        name, _, key = rest[0].removeprefix(PREFIX).partition("(")
        bound = (rows.table.logical, name)
        if rest[1:] == ["$ref"] and bound == ("systemuser", "systemuserroles_association"):
            return associate_role(self.store, call, row_id, key.removesuffix(")").lower() or None)
        operations = _BOUND.get(call.method, {})
        if bound not in operations or len(rest) > 1:
            raise unknown_resource()
        return operations[bound](self.store, call, row_id)

    def _check_headers(self, call: Call) -> None:
        """What headers ask for and whether the caller may.

        In strict mode one that the server would silently ignore is an error, so that a typing slip shows.
        """
        for name in call.headers:
            if self.strict and name.startswith("mscrm.") and name not in _MSCRM_HEADERS:
                raise invalid(f"The header {name} does not exist (the emulator is strict).", "0x80060888")
            if name in _BYPASSES:
                demand_named(self.store, call.caller, _BYPASSES[name])
        if call.caller.acting_user_id is not None:
            demand_named(self.store, Caller(call.caller.acting_user_id), "prvActOnBehalfOfAnotherUser")
        wanted = call.headers.get("mscrm.suppressduplicatedetection", "true").lower() == "false"
        call.caller = replace(call.caller, detects_duplicates=wanted)
