"""Evidence for opt-ins that the CRM had before us: a list of consents, each with its full record or refused with why.

A row that is complete is a grant taken down on the person's behalf, at the time of the person's own act; it folds with
everything else that is known of the address, so that it undoes no later withdrawal. GDPR Art. 7(1), ISO/IEC TS 27560.
"""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pandas as pd

from connectors.csv_files import decode_csv
from connectors.store import batches
from pipelines.operations.intake import merge_group, shaped_by, stage_frames
from pipelines.operations.sessions import Session
from pipelines.transforms.evidence import FEED, evidence_mapping, refusals, with_defaults, without_refused
from pipelines.transforms.shape import StagedBatch, shape_batch
from schemas.mappings import BATCH_ID, FileShape, Mapping, Source


@dataclass
class Evidenced:
    """Rows read, grants made of them, and of each row refused: row_no (the first row below the titles is 1), column,
    reason; never a value.
    """

    rows: int = 0
    grants: int = 0
    refused: list[dict[str, Any]] = field(default_factory=list)


def bring_evidence(session: Session, path: Path) -> Evidenced:
    """Make grants of the complete rows of a CSV file (UTF-8; titles address, given_name, family_name, given_at, method,
    wording, version, collected_by, and where they differ from marketing as a whole purpose, topic).

    Raises BatchRefused where the file or its titles cannot be read.
    """
    raw = with_defaults(_decoded(path.read_bytes()))
    outcome = Evidenced(rows=len(raw))
    for version, rows in raw.groupby("version", dropna=False, sort=True):
        told = None if pd.isna(version) else str(version)
        _bring_version(session, rows.reset_index(names="file_row"), told, outcome)
    outcome.refused.sort(key=lambda refusal: (refusal["row_no"], refusal["column"]))
    return outcome


def _decoded(payload: bytes) -> pd.DataFrame:
    titles = payload.partition(b"\n")[0]
    delimiter = ";" if b";" in titles else ","
    return decode_csv(payload, FileShape(type="csv", pattern="*.csv", delimiter=delimiter))


def _bring_version(session: Session, rows: pd.DataFrame, version: str | None, outcome: Evidenced) -> None:
    """The rows that speak of one version of the wording, and of the privacy notice that the policy has under that name."""
    policy = session.workspace.policy
    fault = "spoken_incomplete" if version is None else None if version in policy.notices else "unknown_notice"
    mapping = evidence_mapping(None if fault else version, timezone=policy.organisation.timezone)
    shaped = shape_batch(rows.drop(columns="file_row"), mapping, received_at=session.now, policy=policy)
    refused = refusals(shaped, version_fault=fault)
    file_rows = (rows["file_row"] + 1).tolist()
    outcome.refused += [{**refusal, "row_no": file_rows[refusal["row_no"] - 1]} for refusal in refused]
    kept = without_refused(shaped, {refusal["row_no"] for refusal in refused}, version=version)
    outcome.grants += len(kept.decisions)
    if not kept.submissions.empty:
        _merge(session, mapping, kept)


def _merge(session: Session, mapping: Mapping, kept: StagedBatch) -> None:
    workspace = replace(session.workspace, mappings={**session.workspace.mappings, FEED: mapping})
    own = Session(workspace, run_id=session.run_id, rehearsal=session.rehearsal, staged=session.staged)
    batch_id: UUID = uuid4()
    with own.transaction() as conn:
        batches.record_batch(
            conn,
            batch_id,
            source=str(Source.MANUAL),
            feed=FEED,
            received_at=own.now,
            content_hash=batch_id.hex,
        )
        batch = batches.get_batch(conn, batch_id)
    raw = pd.DataFrame({BATCH_ID: [str(batch_id)] * len(kept.submissions)}, index=kept.submissions.index)
    request = {
        "batch_ids": [str(batch_id)],
        **shaped_by(mapping),
        "has_faults": False,
        "staged": stage_frames(own, batch, raw, kept),
        "wordings": kept.wordings,
        "watermark": None,
        "stop": None,
    }
    merge_group(own, request)
