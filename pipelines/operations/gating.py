"""The gate's word on a source as a whole: kept for the checks that show it, and what it shuts has still lowered."""

from collections.abc import Sequence
from typing import Any

from connectors.store import batches
from connectors.store.batches import staged_groups
from pipelines.operations.intake import Gated, merge_group
from pipelines.operations.sessions import Session

SHUT = (
    "gate_shut",
    "The gate of this source could not be trusted in this run, so the batch was let lower only.",
    "Mend what the gate's check names; then `crm-intake quarantine retry`.",
)


def record_gate(session: Session, gated: Sequence[Gated]) -> None:
    """Keep how each rule came out on each batch of this run."""
    with session.transaction() as conn:
        for one in gated:
            batches.record_gate(conn, [one.batch.batch_id], {"run_id": str(session.run_id), "rules": _rules(one)})


def _rules(one: Gated) -> list[dict[str, Any]]:
    return [
        {"rule": r.name, "passed": r.passed, "could_not_run": r.could_not_run, "counts": r.counts} for r in one.results
    ]


def is_shut(gated: Sequence[Gated]) -> bool:
    """Whether nothing of the source may raise: a rule could not run, or every batch there was is stopped."""
    could_not_run = any(result.could_not_run for one in gated for result in one.results)
    return could_not_run or (bool(gated) and all(one.stop is not None for one in gated))


def lower_staged(session: Session, source: str) -> int:
    """Let what this run staged of a source lower, and stop it: nothing holds a withdrawal back. Returns its batches."""
    with session.transaction() as conn:
        groups = staged_groups(conn, session.run_id, source)
    for group_id, request in groups:
        merge_group(session, {**request, "stop": request["stop"] or SHUT, "watermark": None}, group_id)
    return sum(len(request["batch_ids"]) for _, request in groups if not request["stop"])
