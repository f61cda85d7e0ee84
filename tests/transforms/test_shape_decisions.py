"""What a form's answers decide, when it counts, and what is no decision at all."""

import json
from collections.abc import Mapping as Cells
from datetime import datetime
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from connectors.arranging import arranged
from pipelines.transforms.decisions import dated
from pipelines.transforms.readings import Span
from pipelines.transforms.shape import StagedBatch, shape_batch
from schemas.consent import Value, effective_at
from schemas.errors import MappingError
from schemas.mappings import Mapping
from tests.feeds import RECEIVED, WORDING, make_consent, make_mapping, make_policy, make_raw
from tests.sizes import sized

POLICY = make_policy()
FORBIDS = make_consent(column="Forbid", polarity="prohibition", wording=None, notice_version=None)


def shape(mapping: Mapping, *rows: Cells[str, str | None]) -> StagedBatch:
    return shape_batch(make_raw(*rows), mapping, received_at=RECEIVED, policy=POLICY)


def asking(**changes: Any) -> Mapping:
    return make_mapping(consents=[make_consent(**changes)])


def decided(batch: StagedBatch) -> list[tuple[Any, ...]]:
    columns = ["row_no", "purpose", "topic", "value", "reason"]
    rows = batch.decisions[columns].astype(object).where(batch.decisions[columns].notna(), None)
    return list(rows.itertuples(index=False, name=None))


def told(batch: StagedBatch) -> list[tuple[Any, ...]]:
    return list(batch.faults[["row_no", "field", "fault", "blocks"]].itertuples(index=False, name=None))


def test_blank_consent_column_is_not_an_event() -> None:
    batch = shape(make_mapping(), {"Newsletter": None}, {"Newsletter": "  "}, {"Newsletter": "-"})
    assert batch.decisions.empty
    assert batch.faults.empty


def test_a_yes_grants_and_a_no_refuses_in_any_letter_case_and_spacing() -> None:
    batch = shape(make_mapping(), *[{"Newsletter": answer} for answer in ("yes", " YES ", "nO\u00a0")])
    assert decided(batch) == [
        (1, "marketing", None, "grant", None),
        (2, "marketing", None, "grant", None),
        (3, "marketing", None, "withdraw", "refused"),
    ]


def test_refusing_a_consent_is_no_objection_to_related_events() -> None:
    assert "related_events" not in shape(make_mapping(), {"Newsletter": "No"}).decisions["purpose"].tolist()


def test_an_answer_that_the_mapping_does_not_list_quarantines_the_effect_only() -> None:
    batch = shape(make_mapping(), {"Newsletter": "1"})
    assert batch.decisions.empty
    assert told(batch) == [(1, "consents.marketing", "unknown_answer", "effect")]
    assert batch.submissions.loc[0, "is_usable"]


def test_a_decision_carries_its_evidence() -> None:
    batch = shape(asking(topic="events"), {"Newsletter": "Yes"})
    [row] = batch.decisions.to_dict("records")
    assert (row["topic"], row["actor"], row["clock"], row["channel"]) == (
        "events",
        "subject",
        "web_forms",
        "mailing_list",
    )
    assert row["notice_version"] == "2026-01"
    assert not row["states_current_value"]
    assert batch.wordings == [{"wording_hash": row["wording_hash"], **WORDING}]


def test_forbidding_marketing_withdraws_it_and_objects_to_related_events() -> None:
    batch = shape(
        make_mapping(consents=[FORBIDS], ignored=["Newsletter"]), {"Forbid": "Yes"}, {"Forbid": "No"}, {"Forbid": None}
    )
    assert decided(batch) == [
        (1, "marketing", None, "withdraw", "prohibition"),
        (1, "related_events", None, "withdraw", "objection"),
    ]


def test_forbidding_one_topic_is_no_objection_to_the_rest() -> None:
    mapping = make_mapping(consents=[{**FORBIDS, "topic": "rdi"}], ignored=["Newsletter"])
    assert decided(shape(mapping, {"Forbid": "Yes"})) == [(1, "marketing", "rdi", "withdraw", "prohibition")]


def test_submitting_a_sign_up_form_is_the_grant_where_the_mapping_says_so() -> None:
    mapping = asking(column=None, by_submitting=True, grants=None, refuses=None)
    raw = make_raw({}, {}).drop(columns="Newsletter")
    batch = shape_batch(raw, mapping, received_at=RECEIVED, policy=POLICY)
    assert decided(batch) == [(1, "marketing", None, "grant", None), (2, "marketing", None, "grant", None)]


def test_a_bookers_tick_decides_nothing_for_the_attendee_by_rule() -> None:
    batch = shape(asking(given_by="booker"), {"Newsletter": "Yes"}, {"Newsletter": "No"})
    assert batch.decisions.empty
    assert told(batch) == [(1, "consents.marketing", "not_the_subject", "rule")]


def of_a_list(*consents: dict[str, Any]) -> Mapping:
    """A form on which one person signs several up, with a box of each and boxes that are shown once."""
    return make_mapping(
        fields={"email": {"column": "People.email"}},
        arrangement={"items": {"column": "People", "columns": ["email", "news"]}},
        consents=list(consents),
    )


def two_of_a_list(mapping: Mapping, *, own: str, **boxes: str) -> StagedBatch:
    people = [{"email": "aino@example.org", "news": own}, {"email": "kalle@example.org", "news": None}]
    raw = make_raw({"People": json.dumps(people), **boxes})
    raw = arranged(raw[[title for title in raw if title in mapping.mapped_columns()]], mapping.arrangement)
    return shape_batch(raw, mapping, received_at=RECEIVED, policy=POLICY)


@pytest.mark.parametrize("asked", [{}, {"column": None, "by_submitting": True, "grants": None, "refuses": None}])
def test_a_tick_beside_a_list_of_people_cannot_be_mapped_as_theirs(asked: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match=r"not asked of the people .* booker or guardian"):
        of_a_list(make_consent(**asked))


def test_a_tick_beside_a_list_of_people_grants_nobody_of_the_list_anything() -> None:
    batch = two_of_a_list(of_a_list(make_consent(given_by="booker")), own="Yes", Newsletter="Yes")
    assert batch.decisions.empty
    assert told(batch) == [(row, "consents.marketing", "not_the_subject", "rule") for row in (1, 2)]


def test_a_tick_within_a_list_of_people_is_of_the_one_whose_item_it_stands_in() -> None:
    batch = two_of_a_list(of_a_list(make_consent(column="People.news")), own="Yes", Newsletter="No")
    assert decided(batch) == [(1, "marketing", None, "grant", None)]


def test_who_forbids_beside_a_list_of_people_forbids_it_for_all_of_them() -> None:
    batch = two_of_a_list(of_a_list(FORBIDS), own="Yes", Forbid="Yes")
    assert batch.decisions.loc[batch.decisions["purpose"] == "marketing", ["row_no", "value"]].values.tolist() == [
        [1, "withdraw"],
        [2, "withdraw"],
    ]


def test_whoever_orders_several_things_has_ticked_for_themselves() -> None:
    items = {"column": "Orders", "columns": ["course"]}
    assert make_mapping(arrangement={"items": items}).consents[0].given_by == "subject"


def test_a_purpose_or_topic_that_the_policy_lacks_is_a_mapping_error() -> None:
    with pytest.raises(MappingError, match="newsletter"):
        shape(asking(purpose="newsletter"), {"Newsletter": "Yes"})
    with pytest.raises(MappingError, match="training, rdi"):
        shape(asking(topic="cakes"), {"Newsletter": "Yes"})
    with pytest.raises(MappingError, match="no privacy notice '1999'"):
        shape(asking(notice_version="1999"), {"Newsletter": "Yes"})


def times(row: dict[Any, Any]) -> list[str]:
    return [f"{row[name]:%m-%d %H:%M}" for name in ("occurred_at", "effective_at")]


def test_a_date_counts_at_its_first_instant_for_a_yes_and_at_its_last_for_a_no() -> None:
    rows = [{"Time": "2026-11-18", "Newsletter": answer} for answer in ("Yes", "No")]
    grant, withdrawal = shape(make_mapping(), *rows).decisions.to_dict("records")
    assert times(grant) == ["11-17 22:00", "11-17 22:00"]
    assert grant["precision_s"] == 86_400
    assert times(withdrawal) == ["11-17 22:00", "11-18 22:00"]


def test_of_a_submission_that_was_changed_a_yes_counts_when_it_was_sent_and_a_no_when_it_was_changed() -> None:
    mapping = make_mapping(changed_at={"column": "Changed", "timezone": "Europe/Helsinki"})
    rows = [
        {"Time": "2026-11-18 10:00:00", "Changed": changed, "Newsletter": answer}
        for answer in ("Yes", "No")
        for changed in ("2026-11-19 10:00:00", "2026-11-17 10:00:00", None)
    ]
    counted = shape(mapping, *rows).decisions["effective_at"].dt.strftime("%d %H")
    assert counted.tolist() == ["18 08"] * 3 + ["19 08", "18 08", "18 08"]


def test_nothing_counts_later_than_it_was_received() -> None:
    rows = [
        {"Time": time, "Newsletter": answer}
        for time in ("2027-01-01 10:00:00", "2026-11-20")
        for answer in ("Yes", "No")
    ]
    future_yes, future_no, today_yes, today_no = shape(make_mapping(), *rows).decisions["effective_at"]
    assert future_yes == future_no == today_no == pd.Timestamp(RECEIVED) > today_yes


def test_the_repeated_hour_counts_early_for_a_yes_and_late_for_a_no() -> None:
    rows = [{"Time": "2026-10-25 03:30:00", "Newsletter": answer} for answer in ("Yes", "No")]
    decisions = shape(make_mapping(), *rows).decisions
    assert decisions["effective_at"].dt.strftime("%H:%M").tolist() == ["00:30", "01:30"]


@pytest.mark.parametrize("time", [None, "1.15.2022 10.61", "soon"])
def test_without_a_readable_time_a_yes_is_none_and_a_no_counts_when_received(time: str | None) -> None:
    batch = shape(make_mapping(), *[{"Time": time, "Newsletter": answer} for answer in ("Yes", "No")])
    [decision] = batch.decisions.to_dict("records")
    assert (decision["row_no"], decision["value"], decision["effective_at"]) == (2, "withdraw", pd.Timestamp(RECEIVED))
    assert pd.isna(decision["occurred_at"])
    assert (1, "consents.marketing", "grant_without_time", "effect") in told(batch)


def test_a_flag_counts_by_its_own_time_of_change() -> None:
    mapping = asking(states_current_value=True, changed_at={"column": "Flagged"})
    batch = shape(
        mapping, {"Newsletter": "Yes", "Flagged": "2026-11-19 12:00:00"}, {"Newsletter": "Yes", "Flagged": None}
    )
    assert batch.decisions["effective_at"].dt.strftime("%d %H").tolist() == ["19 10", "20 08"]
    assert batch.decisions["states_current_value"].all()


def test_a_flag_without_a_time_of_its_own_cannot_overtake_a_withdrawal_made_since_the_submission() -> None:
    mapping = make_mapping(changed_at={"column": "Changed"}, consents=[make_consent(states_current_value=True)])
    rows = [{"Time": "2026-11-10 10:00:00", "Changed": "2026-11-19 10:00:00", "Newsletter": a} for a in ("Yes", "No")]
    assert shape(mapping, *rows).decisions["effective_at"].dt.day.tolist() == [10, 19]


def test_an_unreadable_time_of_a_flag_is_no_time() -> None:
    mapping = asking(states_current_value=True, changed_at={"column": "Flagged"})
    batch = shape(mapping, {"Newsletter": "Yes", "Flagged": "soon"})
    assert batch.decisions.empty
    assert len(batch.faults) == 2


INSTANTS = st.none() | st.datetimes(datetime.fromisoformat("2026-11-01"), datetime.fromisoformat("2026-12-10"))


@settings(deadline=None, max_examples=sized(25, 1_000))
@given(INSTANTS, st.integers(0, 86_400), st.sampled_from(Value))
def test_columns_are_dated_by_the_very_rule_of_the_fold(start: datetime | None, seconds: int, value: Value) -> None:
    earliest = pd.Series([pd.Timestamp(start, tz="UTC") if start else pd.NaT], dtype="datetime64[us, UTC]")
    latest = earliest + pd.Timedelta(seconds=seconds)
    received = pd.Series([pd.Timestamp(RECEIVED)], dtype="datetime64[us, UTC]")
    first, last = (None if pd.isna(t) else pd.Timestamp(t).to_pydatetime() for t in (earliest[0], latest[0]))
    expected = effective_at(value, first, last, RECEIVED)
    if expected is not None:
        assert dated(value, Span(earliest, latest, earliest.isna()), received).loc[0, "effective_at"] == expected
