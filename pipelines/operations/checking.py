"""A dry run over one file: a verdict on each of its columns and rows. Nothing is kept, and no value is told."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from connectors.samples import Sample, Survey, decode_sample
from pipelines.operations.gate import gate_batch
from pipelines.operations.questions import known_questions, with_drift
from pipelines.operations.sessions import Session
from pipelines.transforms.columns import force_columns, misfit
from pipelines.transforms.needs import without_purpose
from pipelines.transforms.question_drift import Drift, drift_of
from pipelines.transforms.shape import StagedBatch, shape_batch
from pipelines.transforms.text import tidy
from schemas.errors import ConfigurationError
from schemas.faults import FAULTS
from schemas.mappings import OWN_COLUMNS, FieldMap, Mapping, Source

READ, DROPPED, UNMAPPED, MISSING, PURPOSELESS = "read", "dropped", "unmapped", "missing", "no purpose"


@dataclass(frozen=True, slots=True)
class FileVerdict:
    """What would become of a file. `columns`: column, verdict, what for, blank cells, faults. `rows`: those that are not
    simply taken in. `refused` is why the whole batch would be stopped; `purposeless` the questions that are read for
    nothing; `changed` how the questions differ from those last taken in, a line each; `is_partial` where questions that
    the sample has no answer to cannot be told from those that are gone."""

    read: int
    columns: list[dict[str, Any]]
    rows: list[dict[str, Any]]
    states: dict[str, int]
    rules_failed: list[str]
    purposeless: list[str]
    refused: str | None
    changed: list[str]
    is_partial: bool

    @property
    def is_understood(self) -> bool:
        """Whether the batch as a whole would be taken in."""
        return self.refused is None and not self.rules_failed


def check_file(session: Session, feed: str | Mapping, payload: bytes, *, questions: bytes | None = None) -> FileVerdict:
    """The verdict on a file of a feed, or a sample of what it delivers otherwise (`connectors.samples`).

    `feed` is its name, or a mapping that is none of the configuration yet; `questions` the API's answer about the questions
    of a survey that is pulled. BatchRefused where a file cannot even be decoded, ConfigurationError for no feed.
    """
    mapping = feed if isinstance(feed, Mapping) else session.workspace.mappings.get(feed)
    if mapping is None:
        raise ConfigurationError(f"There is no feed {feed!r}. See `crm-intake sources list`.")
    if questions is not None and (mapping.api is None or mapping.source is not Source.WEBROPOL):
        raise ConfigurationError(f"Feed {mapping.feed} is not a survey pulled from Webropol. Leave --questions out.")
    known = known_questions(session, mapping)
    sample = decode_sample(payload, mapping, at=session.now, survey=Survey(questions, known))
    drift = drift_of(known, sample.questions) if sample.questions else None
    return _judged(session, sample, mapping, drift=drift)


def _judged(session: Session, sample: Sample, mapping: Mapping, *, drift: Drift | None) -> FileVerdict:
    raw = sample.raw
    fitting = force_columns(raw, mapping).frame if misfit(raw, mapping) else raw
    shaped = shape_batch(fitting, mapping, received_at=session.now, policy=session.workspace.policy)
    failed = [result.name for result in gate_batch(shaped, mapping).results if not result.passed]
    rows = _rows(shaped)
    purposeless = without_purpose(mapping, session.workspace.policy)
    columns = _columns(raw, mapping, shaped, purposeless=purposeless)
    return FileVerdict(
        read=len(raw),
        columns=columns,
        rows=rows,
        states=_states(shaped, rows),
        rules_failed=failed,
        purposeless=[each["column"] for each in columns if each["verdict"] == PURPOSELESS],
        refused=_refusal(raw, mapping, drift),
        changed=drift.lines() if drift else [],
        is_partial=sample.is_partial,
    )


def _refusal(raw: pd.DataFrame, mapping: Mapping, drift: Drift | None) -> str | None:
    """Why the whole batch would be stopped: columns that do not fit, or titles that are other questions now."""
    if unfit := misfit(raw, mapping):
        return str(unfit)
    stop = with_drift(None, drift, mapping) if drift else None
    return f"{stop[1]} Remedy: {stop[2]}" if stop else None


def _states(shaped: StagedBatch, rows: list[dict[str, Any]]) -> dict[str, int]:
    """How many rows would end in each state; a row with several faults is one."""
    ends = {each["row"]: each["state"] for each in reversed(rows)}
    counted = Counter(ends.values())
    fine = len(shaped.submissions) - len(ends)
    return {**({"taken in": fine} if fine else {}), **counted}


def _rows(shaped: StagedBatch) -> list[dict[str, Any]]:
    faults = shaped.faults[shaped.faults["blocks"] != "rule"]
    wrong = [
        {
            "row": int(row_no),
            "state": "quarantined",
            "field": field,
            "what": FAULTS[code].what,
            "remedy": FAULTS[code].remedy,
        }
        for row_no, field, code in zip(faults["row_no"], faults["field"], faults["fault"], strict=True)
    ]
    faulty = {each["row"] for each in wrong}
    told = shaped.submissions[shaped.submissions["withheld"].notna()]
    withheld = [
        {"row": int(row_no), "state": "withheld", "field": "", "what": f"withheld by the rule {rule}", "remedy": ""}
        for row_no, rule in zip(told["row_no"], told["withheld"], strict=True)
        if row_no not in faulty
    ]
    return sorted([*wrong, *withheld], key=lambda each: each["row"])


def _columns(
    raw: pd.DataFrame, mapping: Mapping, shaped: StagedBatch, *, purposeless: Sequence[str]
) -> list[dict[str, Any]]:
    uses = {**uses_of(mapping), **{tidy(title): [] for title in purposeless}}
    ignored = {tidy(title) for title in mapping.ignored}
    faults = shaped.faults.groupby("column").size().to_dict()
    present = {tidy(str(title)): str(title) for title in raw.columns if title not in OWN_COLUMNS}
    found = [
        {
            "column": title,
            "verdict": _verdict(folded, uses, ignored),
            "for": ", ".join(uses.get(folded, [])),
            "blank": int(raw[title].isna().sum()),
            "faults": int(faults.get(title, 0)),
        }
        for folded, title in present.items()
        if not title.startswith("__")
    ]
    absent = sorted({tidy(name) for name in mapping.mapped_columns() - set(mapping.optional)} - set(present))
    return found + [
        {"column": name, "verdict": MISSING, "for": ", ".join(uses.get(name, [])), "blank": 0, "faults": 0}
        for name in absent
        if not name.startswith("__")
    ]


def _verdict(folded: str, uses: dict[str, list[str]], ignored: set[str]) -> str:
    if folded in uses:
        return READ if uses[folded] else PURPOSELESS
    return DROPPED if folded in ignored else UNMAPPED


def uses_of(mapping: Mapping) -> dict[str, list[str]]:
    """By column (tidied) what it is read for, in the mapping's words; empty where no purpose needs it."""
    uses: dict[str, list[str]] = {tidy(name): [] for name in mapping.mapped_columns()}
    for name in FieldMap.model_fields:
        _note(uses, getattr(mapping.fields, name), name)
    for consent in mapping.consents:
        _note(uses, consent, f"consent to {consent.purpose}" + (f"/{consent.topic}" if consent.topic else ""))
        _note(uses, consent.changed_at, f"when {consent.purpose} was said")
    for question in mapping.answers:
        uses[tidy(question)].append("answer of the event" if mapping.occasion else "")
    for part in ("submitted_at", "changed_at", "wants_contact", "drafts"):
        _note(uses, getattr(mapping, part), part)
    for part in ("occasion", "registration", "spoken", "arrangement"):
        _note_all(uses, getattr(mapping, part), part)
    for name in [*mapping.key, *([mapping.table.key, mapping.table.changed_at] if mapping.table else [])]:
        uses.setdefault(tidy(name), []).append("key")
    return {name: [use for use in found if use] for name, found in uses.items()}


def _note(uses: dict[str, list[str]], ref: Any, use: str) -> None:
    column = getattr(ref, "column", None)
    if column is not None:
        uses.setdefault(tidy(column), []).append(use)


def _note_all(uses: dict[str, list[str]], part: Any, use: str) -> None:
    """Every text of a part of the mapping that is a column of it."""
    for text in _texts(part.model_dump() if part is not None else None):
        if tidy(text) in uses:
            uses[tidy(text)].append(use)


def _texts(node: Any) -> list[str]:
    if isinstance(node, dict):
        return [text for child in node.values() for text in _texts(child)]
    if isinstance(node, list | tuple):
        return [text for child in node for text in _texts(child)]
    return [node] if isinstance(node, str) else []
