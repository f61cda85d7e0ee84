"""The words of a diagnosis: verdicts in three values and a warning between, findings, gaps in knowledge."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

Row = Mapping[str, Any]


class Verdict(StrEnum):
    """What a check came to. `unknown` is a gap in what could be read: neither yes nor no."""

    OK = "ok"
    WARNING = "warning"
    FAILS = "fails"
    UNKNOWN = "unknown"


# The worst first: what is certainly wrong before what is not known.
_WORST_FIRST = (Verdict.FAILS, Verdict.WARNING, Verdict.UNKNOWN, Verdict.OK)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was seen. `holds_back` tells that while it stands no run may raise anything.

    The evidence is counts, ids, names of purposes, profiles, tables and columns; never a person, nor a text that staff
    may have written one into.
    """

    verdict: Verdict
    evidence: str
    holds_back: bool = False


@dataclass(frozen=True, slots=True)
class Gap:
    """What could not be read, and why; `is_absent` where it certainly is not there."""

    reason: str
    is_absent: bool = False


Known = Sequence[Row] | Gap
"""Rows that were read, or the gap in their place."""


@dataclass(frozen=True, slots=True)
class Check:
    """What is checked, why it matters, how to mend it, and whose word the rule is.

    `protects` tells that some finding of it holds back what raises.
    """

    check_id: str
    title: str
    remedy: str
    source: str
    protects: bool = False


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """A check with what was found."""

    check: Check
    findings: tuple[Finding, ...]

    @property
    def verdict(self) -> Verdict:
        """The worst of its findings; `unknown` where there are none."""
        found = {finding.verdict for finding in self.findings}
        return next((verdict for verdict in _WORST_FIRST if verdict in found), Verdict.UNKNOWN)

    @property
    def holds_back(self) -> bool:
        """Whether no run may raise anything while this stands."""
        return any(finding.holds_back for finding in self.findings)

    @property
    def evidence(self) -> str:
        """What its verdict rests on, in one line."""
        return " ".join(finding.evidence for finding in self.findings if finding.verdict is self.verdict)


def ok(evidence: str) -> list[Finding]:
    """The one finding of a check that has nothing to say against it."""
    return [Finding(Verdict.OK, evidence)]


def warning(evidence: str) -> Finding:
    """Something to look at."""
    return Finding(Verdict.WARNING, evidence)


def fails(evidence: str) -> Finding:
    """Something wrong that a run may go on with."""
    return Finding(Verdict.FAILS, evidence)


def endangers(evidence: str) -> Finding:
    """Something by which people would get mail, or be tracked, who did not agree to it."""
    return Finding(Verdict.FAILS, evidence, holds_back=True)


def unknown(gap: Gap | str) -> Finding:
    """Something that cannot be told."""
    return Finding(Verdict.UNKNOWN, gap.reason if isinstance(gap, Gap) else gap)


def of_rows(known: Known, rule: Callable[[Sequence[Row]], Iterable[Finding]]) -> list[Finding]:
    """What a rule finds in rows, or that they are not known."""
    return [unknown(known)] if isinstance(known, Gap) else list(rule(known))


def listed(names: Iterable[object], most: int = 5) -> str:
    """Some names in order, and how many more there are."""
    all_names = sorted({str(name) for name in names})
    more = len(all_names) - most
    return ", ".join(all_names[:most]) + (f" and {more} more" if more > 0 else "")
