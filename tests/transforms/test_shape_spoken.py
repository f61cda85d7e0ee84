"""Entries taken down by staff: what evidence a yes needs, and that a no needs none."""

from collections.abc import Mapping as Cells
from typing import Any

import pytest

from pipelines.transforms.shape import StagedBatch, shape_batch
from schemas.errors import MappingError
from schemas.mappings import Mapping
from tests.feeds import RECEIVED, make_mapping, make_policy, make_raw

POLICY = make_policy()
SPOKEN = {
    "collected_by": "By",
    "method": "How",
    "wording": "Words",
    "said_at": {"column": "Said"},
    "purpose": "Purpose",
    "topic": "Topic",
    "decision": "Decision",
    "decisions": {"allows": "grant", "forbids": "withdraw"},
    "notice_version": "2026-01",
}
ENTRY: dict[str, str | None] = {
    "By": "S. Staff",
    "How": "phone",
    "Words": "May we send you the newsletter?",
    "Said": "2026-11-18",
    "Purpose": "Marketing",
    "Topic": None,
    "Decision": "Allows",
}

EVENT = {
    "id": {"column": "Event"},
    "name": {"column": "Event"},
    "starts_at": {"constant": "2026-12-01"},
    "ends_at": {"constant": "2026-12-02"},
}


def entries(**changes: Any) -> Mapping:
    plain = {"source": "manual", "kind": "manual_entry", "spoken": SPOKEN, "consents": [], "ignored": ["Newsletter"]}
    return make_mapping(**{**plain, **changes})


def shape(*rows: Cells[str, str | None], mapping: Mapping | None = None) -> StagedBatch:
    raw = make_raw(*[{**ENTRY, **row} for row in rows])
    return shape_batch(raw, mapping or entries(), received_at=RECEIVED, policy=POLICY)


def told(batch: StagedBatch) -> list[tuple[Any, ...]]:
    return list(batch.faults[["row_no", "field", "fault", "blocks"]].itertuples(index=False, name=None))


def test_a_spoken_yes_with_all_its_evidence_is_a_grant_at_the_time_it_was_said() -> None:
    batch = shape({"Topic": "Events"})
    [row] = batch.decisions.to_dict("records")
    assert (row["purpose"], row["topic"], row["value"], row["actor"]) == (
        "marketing",
        "events",
        "grant",
        "staff_on_behalf",
    )
    assert (row["collected_by"], row["method"], row["clock"]) == ("S. Staff", "phone", "manual")
    assert f"{row['effective_at']:%m-%d %H}" == "11-17 22"
    assert row["notice_version"] == "2026-01"
    [wording] = batch.wordings
    assert wording["wording_hash"] == row["wording_hash"]
    assert wording["text"] == ENTRY["Words"]


@pytest.mark.parametrize(
    ("column", "part"), [("By", "collected_by"), ("How", "method"), ("Words", "wording"), ("Said", "said_at")]
)
def test_a_spoken_yes_that_lacks_evidence_is_no_grant_and_the_part_is_named(column: str, part: str) -> None:
    batch = shape({column: None})
    assert batch.decisions.empty
    assert batch.wordings == []
    assert told(batch) == [(1, f"spoken.{part}", "spoken_incomplete", "effect")]


@pytest.mark.parametrize(("column", "part"), [("By", "collected_by"), ("How", "method")])
def test_an_identity_code_in_the_evidence_goes_no_further(column: str, part: str) -> None:
    batch = shape({column: "Aino 010594Y9021"}, {column: "Aino 010594Y9021", "Decision": "forbids"})
    assert batch.decisions["value"].tolist() == ["withdraw", "withdraw"]
    assert batch.decisions[part].isna().all()
    assert [each for each in told(batch) if each[0] == 1] == [
        (1, f"spoken.{part}", "holds_code", "field"),
        (1, f"spoken.{part}", "spoken_incomplete", "effect"),
    ]


def test_a_spoken_no_needs_nothing_but_the_address() -> None:
    batch = shape({"Decision": "forbids", "By": None, "How": None, "Words": None, "Said": None})
    marketing, related = batch.decisions.to_dict("records")
    assert (marketing["purpose"], marketing["value"], marketing["reason"]) == ("marketing", "withdraw", "spoken")
    assert (related["purpose"], related["value"], related["reason"]) == ("related_events", "withdraw", "objection")
    assert marketing["effective_at"] == related["effective_at"] == RECEIVED
    assert batch.faults.empty


def test_a_spoken_no_to_one_topic_is_no_objection_to_the_rest() -> None:
    batch = shape({"Decision": "forbids", "Topic": "rdi"})
    assert batch.decisions[["purpose", "topic"]].values.tolist() == [["marketing", "rdi"]]


def test_an_entry_that_names_neither_purpose_nor_event_is_barred() -> None:
    batch = shape({"Purpose": None, "Decision": None})
    assert told(batch) == [(1, "spoken.purpose", "names_no_purpose", "row")]
    assert not batch.submissions.loc[0, "is_usable"]
    assert batch.decisions.empty


def test_an_entry_may_register_for_an_event_instead() -> None:
    rows = [{"Purpose": None, "Decision": None, "Event": event} for event in ("E1", None)]
    batch = shape(*rows, mapping=entries(occasion=EVENT))
    assert batch.submissions["registration_status"].fillna("").tolist() == ["active", ""]
    assert batch.occasions["kind"].tolist() == ["event_registration"]
    assert told(batch) == [(2, "spoken.purpose", "names_no_purpose", "row")]


@pytest.mark.parametrize(("decision", "registers"), [("allows", True), ("forbids", False)])
def test_nobody_is_registered_by_a_refusal_that_names_the_event(decision: str, *, registers: bool) -> None:
    batch = shape({"Decision": decision, "Event": "E1"}, mapping=entries(occasion=EVENT))
    assert batch.submissions["registration_status"].notna().tolist() == [registers]


@pytest.mark.parametrize("event", ["E1", None])
def test_a_refusal_without_a_purpose_lowers_marketing_as_a_whole_and_registers_for_nothing(event: str | None) -> None:
    row = {"Purpose": None, "Topic": "rdi", "Decision": "forbids", "Event": event}
    batch = shape(row, mapping=entries(occasion=EVENT))
    decisions = batch.decisions[["purpose", "value", "reason"]].values.tolist()
    assert decisions == [["marketing", "withdraw", "spoken"], ["related_events", "withdraw", "objection"]]
    assert batch.decisions["topic"].isna().all()
    assert told(batch) == [(1, "spoken.purpose", "refusal_without_purpose", "effect")]
    assert batch.submissions["registration_status"].isna().all()


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"Purpose": "newsletters"}, ("spoken.purpose", "unknown_purpose")),
        ({"Topic": "cakes"}, ("spoken.topic", "unknown_purpose")),
        ({"Decision": "maybe"}, ("spoken.decision", "unknown_answer")),
        ({"Decision": None}, ("spoken.decision", "spoken_incomplete")),
    ],
)
def test_an_unknown_word_quarantines_the_effect_only(change: dict[str, str | None], fault: tuple[str, str]) -> None:
    batch = shape(change)
    assert told(batch) == [(1, *fault, "effect")]
    assert batch.decisions.empty
    assert batch.submissions.loc[0, "is_usable"]


def test_a_yes_under_a_template_that_names_no_notice_is_no_grant() -> None:
    spoken = {name: value for name, value in SPOKEN.items() if name != "notice_version"}
    batch = shape({}, mapping=entries(spoken=spoken))
    assert batch.decisions.empty
    assert told(batch) == [(1, "spoken.notice_version", "spoken_incomplete", "effect")]


def test_a_notice_that_the_policy_does_not_have_is_a_fault_of_the_mapping() -> None:
    with pytest.raises(MappingError, match="no privacy notice '1999'"):
        shape({}, mapping=entries(spoken={**SPOKEN, "notice_version": "1999"}))
