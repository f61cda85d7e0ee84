"""Versions of the policy: what a changed one would change, for how many people, before it counts.

The policy that was applied last is kept in the store. A changed policy that only narrows is applied by the next run; one
that widens anything waits for `policy apply --by NAME`, and until then runs send lowerings only.
"""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection

from connectors.store import policies
from connectors.store.merge import refresh_addresses
from pipelines.operations.acts import fold_request
from pipelines.operations.sessions import Session, rehearse
from pipelines.transforms.policy_changes import PolicyChange, compare_policies, policy_body, policy_hash
from schemas.errors import ConfigurationError

FIRST, NARROWED = "the first run", "a run: it only narrows"
_POINTS_AT_A_TIME = 50_000


@dataclass(frozen=True, slots=True)
class PolicyDiff:
    """What the policy at hand changes against the one applied: the settings, and by purpose how many people."""

    changes: list[PolicyChange]
    people: list[dict[str, Any]]

    @property
    def widens(self) -> bool:
        """Whether any change widens what may be done."""
        return any(change.widens for change in self.changes)


def policy_diff(session: Session) -> PolicyDiff:
    """Compare with the policy that was applied last; nothing is kept. Empty where nothing was ever applied."""
    with rehearse(session.workspace) as rehearsal, rehearsal.transaction() as conn:
        changes = _changes(session, conn)
        return PolicyDiff(changes, _refolded(session, conn) if changes else [])


def apply_policy(session: Session, *, by: str) -> PolicyDiff:
    """Let the policy at hand count from now on, for everybody. ConfigurationError without a name."""
    if not by.strip():
        raise ConfigurationError("A policy is applied by a named person: give --by NAME.")
    with session.transaction() as conn:
        changes = _changes(session, conn)
        if not changes and policies.applied_policy(conn) is not None:
            return PolicyDiff([], [])
        return PolicyDiff(changes, _apply(session, conn, changes, by=by))


def settle_policy(session: Session) -> tuple[str, ...]:
    """Apply a policy that is the first or only narrows; why nothing may be raised where it would widen."""
    with session.transaction() as conn:
        changes = _changes(session, conn)
        if any(change.widens for change in changes):
            return _refusals(changes)
        is_first = policies.applied_policy(conn) is None
        if changes or is_first:
            _apply(session, conn, changes, by=FIRST if is_first else NARROWED)
    return ()


def unapplied_widenings(session: Session) -> tuple[str, ...]:
    """Why nothing may be raised under the policy at hand; none where it was applied, or only narrows."""
    with session.transaction() as conn:
        changes = _changes(session, conn)
    return _refusals(changes) if any(change.widens for change in changes) else ()


def _changes(session: Session, conn: Connection) -> list[PolicyChange]:
    applied = policies.applied_policy(conn)
    if applied is None or applied["policy_hash"] == policy_hash(session.workspace.policy):
        return []
    return compare_policies(applied["body"], policy_body(session.workspace.policy))


def _refusals(changes: list[PolicyChange]) -> tuple[str, ...]:
    places = ", ".join(change.where for change in changes if change.widens)
    return (
        f"policy.unapplied: config/intake.yaml widens {places}. Look with `crm-intake policy diff`, then"
        " `crm-intake policy apply --by NAME`.",
    )


def _apply(session: Session, conn: Connection, changes: list[PolicyChange], *, by: str) -> list[dict[str, Any]]:
    people = _refolded(session, conn) if changes else []
    told = [{"where": c.where, "before": c.before, "after": c.after, "widens": c.widens} for c in changes]
    policy = session.workspace.policy
    row = {
        "policy_hash": policy_hash(policy),
        "version": policy.version,
        "body": policy_body(policy),
        "changes": {"settings": told, "people": people},
        "applied_by": by,
        "applied_at": session.now,
    }
    policies.add_policy(conn, row)
    return people


def _refolded(session: Session, conn: Connection) -> list[dict[str, Any]]:
    """Derive everybody's purposes anew; every address is planned again by the next run."""
    policies.remember_purposes(conn)
    for points in policies.iter_points(conn, limit=_POINTS_AT_A_TIME):
        refresh_addresses(conn, fold_request(session), points)
    return policies.compare_purposes(conn, now=session.now)
