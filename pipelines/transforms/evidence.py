"""A list of consents with their evidence: how it is read, and which of its rows are no full consent record. Pure."""

from collections.abc import Collection
from dataclasses import replace
from typing import Any

import pandas as pd

from pipelines.transforms.decisions import MARKETING
from pipelines.transforms.shape import StagedBatch
from schemas.mappings import (
    ColumnRef,
    FieldMap,
    FileShape,
    Mapping,
    Source,
    SpokenMap,
    SubmissionKind,
    TimeFormat,
    TimeRef,
)

FEED = "crm_evidence"
_FORMATS = (TimeFormat.ISO, TimeFormat.FI_DATETIME, TimeFormat.FI_DATE)


def with_defaults(raw: pd.DataFrame) -> pd.DataFrame:
    """The list with what it may leave out: purpose (marketing) and topic (none); every row is a yes."""
    given = {name: raw[name] if name in raw.columns else None for name in ("version", "purpose", "topic")}
    texts = {name: pd.Series(column, index=raw.index, dtype="str") for name, column in given.items()}
    decision = pd.Series("grant", index=raw.index, dtype="str")
    return raw.assign(**texts, decision=decision).assign(purpose=texts["purpose"].fillna(MARKETING))


def evidence_mapping(version: str | None, *, timezone: str) -> Mapping:
    """How the list is read; `version` is that of the notice that its rows were shown."""
    given_at = TimeRef(column="given_at", formats=_FORMATS, timezone=timezone)
    return Mapping(
        source=Source.MANUAL,
        feed=FEED,
        title="Evidence of consents that the CRM had before",
        kind=SubmissionKind.MANUAL_ENTRY,
        owner="crm adopt",
        file=FileShape(type="csv", pattern="*.csv"),
        submitted_at=given_at,
        fields=FieldMap(
            email=ColumnRef(column="address"),
            given_name=ColumnRef(column="given_name"),
            family_name=ColumnRef(column="family_name"),
        ),
        spoken=SpokenMap(
            collected_by="collected_by",
            method="method",
            wording="wording",
            said_at=given_at,
            purpose="purpose",
            topic="topic",
            decision="decision",
            decisions={"grant": "grant"},
            notice_version=version,
        ),
        ignored=("version",),
    )


def refusals(shaped: StagedBatch, *, version_fault: str | None) -> list[dict[str, Any]]:
    """Of every row that is no full consent record: row_no, column, reason; each fault, or the rule that withholds it.

    `version_fault`: what is wrong with the version that they all have.
    """
    submissions, faults = shaped.submissions, shaped.faults
    granted = set() if version_fault else set(shaped.decisions["row_no"])
    lacking = submissions[~(submissions["row_no"].isin(granted) & submissions["is_usable"])]
    if version_fault:
        return [_refusal(row_no, "version", version_fault) for row_no in lacking["row_no"]]
    is_told = faults["row_no"].isin(lacking["row_no"]) & (faults["field"] != "submitted_at")
    told = faults[is_told]
    found = [_refusal(*refusal) for refusal in zip(told["row_no"], told["field"], told["fault"], strict=True)]
    ruled = lacking[~lacking["row_no"].isin(told["row_no"])]
    return found + [
        _refusal(row_no, "address", rule) for row_no, rule in zip(ruled["row_no"], ruled["withheld"], strict=True)
    ]


def _refusal(row_no: int, column: str, reason: str) -> dict[str, Any]:
    return {"row_no": int(row_no), "column": column, "reason": reason}


def without_refused(shaped: StagedBatch, refused: Collection[int], *, version: str | None) -> StagedBatch:
    """The rows that are full records, alone; their wordings bear the version that the list states."""

    def kept(frame: pd.DataFrame) -> pd.DataFrame:
        return frame[~frame["row_no"].isin(list(refused))].reset_index(drop=True)

    return replace(
        shaped,
        submissions=kept(shaped.submissions),
        decisions=kept(shaped.decisions),
        faults=shaped.faults.iloc[0:0],
        answers=kept(shaped.answers),
        wordings=[{**wording, "version": version or ""} for wording in shaped.wordings],
    )
