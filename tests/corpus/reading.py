"""What the pipeline makes of one delivered file: the outcome in short words, as the manifest of the corpus states it."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd

from connectors.decoders import MediaType, decode
from connectors.files import media_type_of
from pipelines.transforms.shape import StagedBatch, shape_batch
from schemas.errors import BatchRefused
from schemas.mappings import Mapping
from schemas.policy import Policy
from schemas.records import UNTICKED

HERE = Path(__file__).parent
RECEIVED_AT = datetime(2026, 11, 20, 12, tzinfo=UTC)


def outcome_of(path: Path, mapping: Mapping, policy: Policy) -> dict[str, Any]:
    """Rows, people, decisions, faults, registrations and answers of a file; or the code of its refusal."""
    media_type = MediaType.PULLED_JSON if mapping.api else media_type_of(mapping)
    try:
        raw = decode(media_type, path.read_bytes(), mapping)
        shaped = shape_batch(raw, mapping, received_at=RECEIVED_AT, policy=policy)
    except BatchRefused as refused:
        return {"refused": refused.code, "says": str(refused)}
    return summary(shaped)


def summary(shaped: StagedBatch) -> dict[str, Any]:
    """What was read, without what is empty. Decisions of the kind that follow from others are left out."""
    rows = shaped.submissions.to_dict("records")
    said = shaped.decisions[shaped.decisions["value"] != UNTICKED]
    told: dict[str, Any] = {
        "rows": len(shaped.submissions),
        "people": [_person(row) for row in rows if row["is_usable"]],
        "barred": [_barred(row) for row in rows if not row["is_usable"]],
        "decisions": [_decision(row) for row in said.to_dict("records") if row["reason"] != "objection"],
        "faults": [f"{f.row_no} {f.field} {f.fault}" for f in shaped.faults.itertuples()],
        "registrations": [
            f"{row['row_no']} {row['registration_status']} {row['occasion_id']}"
            for row in rows
            if not pd.isna(row["registration_status"])
        ],
        "occasions": [
            f"{row['occasion_id']} {row['starts_at']:%Y-%m-%d} to {row['ends_at']:%Y-%m-%d}"
            for row in shaped.occasions.to_dict("records")
            if not pd.isna(row["ends_at"])
        ],
        "payers": [int(row["row_no"]) for row in rows if row["is_payer"]],
        "enquiries": [int(row["row_no"]) for row in rows if row["is_enquiry"]],
        "answers": sorted(f"{a.row_no} {a.question} = {a.answer}" for a in shaped.answers.itertuples()),
    }
    return {name: value for name, value in told.items() if value != []}


def _person(row: dict[str, Any]) -> str:
    names = ("address", "given_name", "family_name", "phone", "organisation", "postal_code", "city")
    submitted = "no time" if pd.isna(row["submitted_from"]) else f"{row['submitted_from']:%Y-%m-%dT%H:%M:%S}Z"
    values = [str(row[name]) for name in names if not pd.isna(row[name])]
    return f"{row['row_no']} {' | '.join([*values, submitted])}"


def _barred(row: dict[str, Any]) -> str:
    why = "erased at the source" if row["is_deleted"] else row["withheld"] if not pd.isna(row["withheld"]) else "faulty"
    return f"{row['row_no']} {why}"


def _decision(row: dict[str, Any]) -> str:
    topic = "" if pd.isna(row["topic"]) else f"/{row['topic']}"
    reason = "" if pd.isna(row["reason"]) else f" ({row['reason']})"
    return f"{row['row_no']} {row['value']} {row['purpose']}{topic}{reason}"
