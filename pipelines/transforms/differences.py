"""Differences between what the ledger asks of the CRM and what it holds, and the rules that explain them. Pure.

A rule explains a difference only where it is about that very row, column and value: a write that was refused once does
not explain that somebody changed the row since, nor an approval that is missing what nobody has planned.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import takewhile
from typing import Any

from pipelines.transforms.readback import as_read
from schemas.tables import CONSENT, CONTACT, PROVENANCE, ConsentValue

MISSING, LEFT_OVER, DIFFERS = "missing", "left_over", "differs"
HELD, EDITED = "held", "edited_or_gone"
RULES = {
    "waiting": "The write waits for the approval of its plan by name.",
    "in_transit": "The write is under way, or its answer is not known yet.",
    "refused": "The CRM refused this very write; its code stands with the intent.",
    "conflict": "The row was changed in the CRM between plan and write.",
    "held": "The write stands on another one of the address that failed in the same run.",
    "human_edit": "Somebody changed the value in the CRM, or deleted the row, and that is known.",
    "not_planned": "The address has changed since the last plan.",
    "in_review": "Somebody has yet to decide which contact of the CRM is whose.",
    "restricted": "The person had their data restricted (GDPR Art. 18): only lowering is written until it is lifted.",
    "kept": "A legal hold, or a request that is open, keeps what would be cleared or deleted.",
    "allow_list": "The address is not on the policy's allow list: of the rows that it has, only lowering is written.",
}
_RULE_OF_STATE = {"waiting": "waiting", "pending": "in_transit", "claimed": "in_transit", "refused": "refused"}
# What stands open: it is never explained by somebody's having opened it.
_OPEN = {
    (CONTACT.logical_name, "donotbulkemail"): False,
    (CONTACT.logical_name, "followemail"): True,
    (CONSENT.logical_name, "msdynmkt_value"): int(ConsentValue.OPTED_IN),
}


@dataclass(frozen=True, slots=True)
class Write:
    """An intent for the row, as it stands; `columns` as written (null where its values were purged)."""

    method: str
    state: str
    code: str | None
    columns: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Known:
    """What the store knows of a row: its writes (newest first), the columns that the CRM is known to hold (None: no
    row), whether its address has changed since it was last planned, and whether it is on the allow list."""

    writes: Sequence[Write] = ()
    columns: Mapping[str, Any] | None = None
    has_changed: bool = False
    is_allowed: bool = True


@dataclass(frozen=True, slots=True)
class Difference:
    """One row that is not as it should be. `columns`: by name as written, what is wanted and what was found there."""

    table: str
    kind: str
    columns: Mapping[str, tuple[Any, Any]] = field(default_factory=dict)

    def told(self) -> str:
        """The kind, with the names of the columns."""
        return f"{self.kind}:{','.join(sorted(self.columns))}" if self.columns else self.kind


def compare_row(table: str, wanted: Mapping[str, Any] | None, found: Mapping[str, Any] | None) -> Difference | None:
    """The difference of one row; None where there is none. `wanted` as written, `found` as read; None is no row."""
    if wanted is None or found is None:
        return Difference(table, MISSING if found is None else LEFT_OVER)
    differing = {}
    for name, value in wanted.items():
        ((read_as, as_it_reads),) = as_read(table, {name: value}).items()
        if name not in PROVENANCE and found.get(read_as) != as_it_reads:
            differing[name] = (as_it_reads, found.get(read_as))
    return Difference(table, DIFFERS, differing) if differing else None


def is_to_go(difference: Difference) -> bool:
    """Whether the CRM has nothing but what is to be cleared or deleted there."""
    if difference.kind == DIFFERS:
        return all(wanted is None for wanted, _ in difference.columns.values())
    return difference.kind == LEFT_OVER


def explain_difference(difference: Difference, known: Known) -> str | None:
    """The rules that explain all of a difference, joined by `+`; None where anything of it is unexplained."""
    if difference.kind == DIFFERS:
        rules = [_of_column(difference, name, known) for name in difference.columns]
    else:
        rules = [_of_row(difference, known)]
    return None if None in rules else "+".join(sorted({rule for rule in rules if rule is not None}))


def _of_row(difference: Difference, known: Known) -> str | None:
    """A row that is missing was never made; one that is left over has yet to go."""
    is_missing = difference.kind == MISSING
    standing = list(takewhile(lambda write: write.state != "acknowledged", known.writes))
    if is_missing and any(write.state == "conflict" and write.code == EDITED for write in standing):
        return "human_edit"
    if (known.columns is None) is is_missing:
        meant = next((write for write in standing if write.method == ("upsert" if is_missing else "delete")), None)
        if meant is not None and (rule := _of_write(meant)):
            return rule
        if known.has_changed:
            return "not_planned"
    was_there = is_missing and known.columns is not None
    return None if known.is_allowed or was_there else "allow_list"


def _of_column(difference: Difference, name: str, known: Known) -> str | None:
    """The rule of one column: of the newest write of it if that wanted what is wanted now, else of what has changed."""
    wanted, found = difference.columns[name]
    newest = next((write for write in known.writes if name in write.columns), None)
    written = None if newest is None else _as_it_reads(difference.table, name, newest.columns)
    is_as_known = found == _as_it_reads(difference.table, name, known.columns)
    is_opened = _OPEN.get((difference.table, name), ...) == found
    rule = _of_write(newest) if newest is not None and written == wanted else None
    if rule in ("human_edit", "conflict"):
        return None if is_opened else rule
    if rule is not None and (is_as_known or rule == "in_transit"):
        return rule
    if not is_as_known:
        return None
    if known.has_changed:
        return "not_planned"
    if is_opened:
        return None
    # We know of a value that we did not write: it was read back.
    if newest is not None and newest.state == "acknowledged" and written != found:
        return "human_edit"
    return None if known.is_allowed else "allow_list"


def _of_write(write: Write) -> str | None:
    if write.state == "conflict":
        return "human_edit" if write.code == EDITED else "conflict"
    if write.state == "superseded":
        return HELD if write.code == HELD else None
    return _RULE_OF_STATE.get(write.state)


def _as_it_reads(table: str, name: str, columns: Mapping[str, Any] | None) -> Any:
    ((_, value),) = as_read(table, {name: (columns or {}).get(name)}).items()
    return value
