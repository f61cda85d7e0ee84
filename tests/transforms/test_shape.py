"""Shaping a batch: its columns, ids, people, what bars a row, and what is never kept."""

from collections.abc import Mapping as Cells
from datetime import UTC, datetime
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.transforms.shape import StagedBatch, shape_batch, shape_lowering
from schemas.errors import BatchRefused, MappingError
from schemas.faults import FAULTS
from schemas.mappings import RECEIVED_AT, Mapping
from schemas.records import (
    ANSWER_COLUMNS,
    DECISION_COLUMNS,
    FAULT_COLUMNS,
    OCCASION_COLUMNS,
    SUBMISSION_COLUMNS,
)
from tests.feeds import RECEIVED, make_consent, make_mapping, make_policy, make_raw
from tests.sizes import sized

POLICY = make_policy()
EMAIL = {"column": "Email"}
NAMED = {"email": EMAIL, "given_name": {"column": "First"}, "family_name": {"column": "Last"}}


def shape(mapping: Mapping, *rows: Cells[str, str | None]) -> StagedBatch:
    return shape_batch(make_raw(*rows), mapping, received_at=RECEIVED, policy=POLICY)


def told(batch: StagedBatch) -> list[tuple[Any, ...]]:
    """The faults as row, field, fault, blocks."""
    return list(batch.faults[["row_no", "field", "fault", "blocks"]].itertuples(index=False, name=None))


def refusal(mapping: Mapping, raw: pd.DataFrame) -> BatchRefused:
    with pytest.raises(BatchRefused) as refused:
        shape_batch(raw, mapping, received_at=RECEIVED, policy=POLICY)
    return refused.value


def assert_declared(batch: StagedBatch) -> None:
    """Every frame has the declared columns and dtypes, and each fault is one that is explained."""
    declared = {
        "submissions": SUBMISSION_COLUMNS,
        "decisions": DECISION_COLUMNS,
        "faults": FAULT_COLUMNS,
        "occasions": OCCASION_COLUMNS,
        "answers": ANSWER_COLUMNS,
    }
    for name, columns in declared.items():
        frame = getattr(batch, name)
        assert {column: str(dtype) for column, dtype in frame.dtypes.items()} == columns, name
    assert set(batch.faults["fault"]) <= set(FAULTS)


def test_every_frame_has_the_declared_columns_and_dtypes() -> None:
    assert_declared(shape(make_mapping(), {}, {"Email": "no address"}, {"Newsletter": "Yes"}))
    assert_declared(shape(make_mapping()))
    assert_declared(shape_batch(pd.DataFrame(), make_mapping(), received_at=RECEIVED, policy=POLICY))


def test_a_column_that_the_mapping_does_not_name_stops_the_batch_by_name() -> None:
    refused = refusal(make_mapping(), make_raw({"Shoe size": "42"}))
    assert refused.code == "unmapped_column"
    assert "'Shoe size'" in str(refused)
    assert "42" not in str(refused)


def test_a_missing_column_is_named_with_the_title_it_may_have_now() -> None:
    refused = refusal(make_mapping(), make_raw({"E-mail": "a@example.org"}).drop(columns="Email"))
    assert refused.code == "missing_column"
    assert "'Email' may now be 'E-mail'" in str(refused)


def test_an_optional_column_may_be_missing_and_an_ignored_one_need_not_be_there() -> None:
    raw = make_raw({}).drop(columns="Newsletter")
    batch = shape_batch(
        raw, make_mapping(optional=["Newsletter"], ignored=["Diet"]), received_at=RECEIVED, policy=POLICY
    )
    assert batch.decisions.empty
    assert len(batch.submissions) == 1


def test_titles_are_matched_without_regard_to_no_break_and_double_spaces() -> None:
    raw = make_raw({}).rename(columns={"Newsletter": " Newsletter\u00a0 letter "})
    mapping = make_mapping(consents=[make_consent(column="Newsletter letter")])
    assert len(shape_batch(raw, mapping, received_at=RECEIVED, policy=POLICY).submissions) == 1


def test_an_ignored_column_is_dropped_and_only_counted() -> None:
    batch = shape(make_mapping(ignored=["Diet"]), {"Diet": "secret-diet"}, {"Diet": None})
    assert batch.dropped == {"Diet": 1}
    frames = [batch.submissions, batch.decisions, batch.faults, batch.occasions, batch.answers]
    assert not any("secret-diet" in str(cell) for frame in frames for cell in frame.to_numpy().ravel())


def test_a_refused_batch_still_gives_its_lowering_effects() -> None:
    raw = make_raw({"Newsletter": "No", "New": "x"}).drop(columns="Time")
    assert refusal(make_mapping(), raw).code == "missing_column"
    batch = shape_lowering(raw, make_mapping(), received_at=RECEIVED, policy=POLICY)
    [decision] = batch.decisions.to_dict("records")
    assert decision["value"] == "withdraw"
    assert decision["effective_at"] == RECEIVED


def test_rows_in_are_rows_out_in_their_order() -> None:
    batch = shape(make_mapping(), {"Email": "b@example.org"}, {"Email": None}, {"Email": "a@example.org"})
    assert batch.submissions["row_no"].tolist() == [1, 2, 3]
    assert batch.submissions["address"].fillna("").tolist() == ["b@example.org", "", "a@example.org"]


def test_the_id_of_a_submission_is_its_key_under_its_feed() -> None:
    batch = shape(make_mapping(key=["Id", "Time"]), {"Time": "2026-11-20"})
    assert batch.submissions.loc[0, "submission_id"] == "form:1|2026-11-20"


def test_without_a_key_equal_rows_have_ids_of_their_own_that_do_not_change_with_the_order() -> None:
    mapping = make_mapping(key=None)
    rows: list[dict[str, str | None]] = [
        {"Email": "a@example.org"},
        {"Email": "a@example.org"},
        {"Email": "b@example.org"},
    ]
    raw = make_raw(*rows).drop(columns="Id")
    one = shape_batch(raw, mapping, received_at=RECEIVED, policy=POLICY).submissions["submission_id"]
    other = shape_batch(raw[::-1], mapping, received_at=RECEIVED, policy=POLICY).submissions["submission_id"]
    assert one.nunique() == 3
    assert set(one) == set(other)
    assert one.str.startswith("form:").all()


@pytest.mark.parametrize("key", [None, ("Id",)])
def test_equal_rows_without_a_key_are_told_apart_over_the_parts_of_a_large_batch(
    key: tuple[str] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    mapping = make_mapping(key=key)
    cells = [("a", None), ("b", "7"), ("a", None), ("a", None), ("b", None), ("a", None), ("b", None)]
    rows: list[dict[str, str | None]] = [{"Email": f"{who}@example.org", "Id": number} for who, number in cells]
    raw = make_raw(*rows) if key else make_raw(*rows).drop(columns="Id")
    whole = shape_batch(raw, mapping, received_at=RECEIVED, policy=POLICY)
    monkeypatch.setattr("pipelines.transforms.shape.PART_ROWS", 3)
    in_parts = shape_batch(raw, mapping, received_at=RECEIVED, policy=POLICY)
    assert in_parts.submissions["submission_id"].is_unique
    pd.testing.assert_frame_equal(whole.submissions, in_parts.submissions)


def test_a_row_whose_key_is_blank_is_known_by_its_content() -> None:
    ids = shape(make_mapping(), {"Id": None}, {"Id": "7"}).submissions["submission_id"]
    assert ids[1] == "form:7"
    assert len(ids[0]) > 30


def test_the_content_hash_changes_with_what_is_mapped_and_with_nothing_else() -> None:
    mapping = make_mapping(ignored=["Note"])
    plain, noted, other = (
        str(shape(mapping, {"Note": note, "Email": email}).submissions.loc[0, "content_hash"])
        for note, email in (("x", "a@example.org"), ("y", "a@example.org"), ("x", "b@example.org"))
    )
    assert plain == noted != other


def test_the_version_of_a_row_is_its_change_else_its_submission() -> None:
    mapping = make_mapping(changed_at={"column": "Changed"})
    batch = shape(mapping, {"Changed": "2026-11-20 11:00:00"}, {"Changed": None}, {"Changed": "soon"})
    assert batch.submissions["version_at"].dt.hour.tolist() == [9, 8, 8]
    assert told(batch) == [(3, "changed_at", "date_unreadable", "field")]


def test_a_pulled_row_keeps_the_time_at_which_it_counts_as_received() -> None:
    raw = make_raw({RECEIVED_AT: "2026-11-19T21:59:59.999999+00:00"}, {RECEIVED_AT: None})
    batch = shape_batch(raw, make_mapping(), received_at=RECEIVED, policy=POLICY)
    assert batch.submissions["received_at"].tolist() == [
        pd.Timestamp("2026-11-19T21:59:59.999999", tz="UTC"),
        pd.Timestamp(RECEIVED),
    ]


def test_a_row_without_an_address_is_barred_unless_the_feed_needs_none() -> None:
    barred = shape(make_mapping(), {"Email": " "})
    assert told(barred) == [(1, "email", "email_missing", "row")]
    assert not barred.submissions.loc[0, "is_usable"]
    free = shape(make_mapping(needs_person=False), {"Email": None})
    assert free.faults.empty
    assert free.submissions.loc[0, "is_usable"]


def test_a_bad_address_is_one_fault_that_bars_the_row_and_shows_no_value() -> None:
    batch = shape(make_mapping(), {"Email": "aino(at)example"})
    [fault] = batch.faults.to_dict("records")
    assert (fault["field"], fault["column"], fault["blocks"]) == ("email", "Email", "row")
    assert "15 characters" in fault["value_class"]
    assert "aino" not in str(fault)


def test_names_are_tidied_and_keyed_and_a_blank_name_is_nameless() -> None:
    batch = shape(
        make_mapping(fields=NAMED), {"First": "AINO MARIA", "Last": "von essen"}, {"First": None, "Last": None}
    )
    row, nameless = batch.submissions.to_dict("records")
    assert (row["given_name"], row["given_key"], row["family_key"]) == ("Aino Maria", "aino", "von essen")
    assert (nameless["given_key"], nameless["family_key"]) == ("", "")
    assert pd.isna(nameless["given_name"])
    assert batch.submissions["is_usable"].all()


def test_a_damaged_name_bars_the_row_and_an_odd_one_costs_only_the_name() -> None:
    batch = shape(
        make_mapping(fields=NAMED), {"First": "VÃ¤inÃ¶", "Last": "Öhman"}, {"First": "12345", "Last": "Öhman"}
    )
    assert told(batch) == [(1, "given_name", "mojibake", "row"), (2, "given_name", "name_unreadable", "field")]
    assert batch.submissions["is_usable"].tolist() == [False, True]


def test_a_full_name_is_split_in_the_order_that_the_mapping_declares() -> None:
    fields = {"email": EMAIL, "full_name": {"column": "Name", "order": "family_given"}}
    [row] = shape(make_mapping(fields=fields), {"Name": "Virtanen Aino"}).submissions.to_dict("records")
    assert (row["given_name"], row["family_name"]) == ("Aino", "Virtanen")


def test_a_city_in_capitals_stays_as_it_was_written() -> None:
    batch = shape(make_mapping(fields={"email": EMAIL, "city": {"column": "City"}}), {"City": " JYVÄSKYLÄ "})
    assert batch.submissions["city"].to_list() == ["JYVÄSKYLÄ"]


def test_a_bad_phone_or_postal_code_costs_only_itself() -> None:
    fields = {"email": EMAIL, "phone": {"column": "Phone"}, "postal_code": {"column": "Zip"}}
    batch = shape(
        make_mapping(fields=fields),
        {"Phone": "+447700900123.0", "Zip": "123456"},
        {"Phone": "+44 7700 900123", "Zip": "40100"},
    )
    assert [fault[1:] for fault in told(batch)] == [
        ("phone", "phone_float", "field"),
        ("postal_code", "postal_code_invalid", "field"),
    ]
    assert batch.submissions["is_usable"].all()
    assert batch.submissions[["phone", "postal_code"]].iloc[1].to_list() == ["+447700900123", "40100"]


@pytest.mark.parametrize("marker", ["<DELETED>", " <deleted> "])
def test_a_marker_of_erasure_is_a_signal_and_never_a_value(marker: str) -> None:
    batch = shape(make_mapping(fields=NAMED), {"First": marker, "Last": "Öhman"}, {"First": "Aino", "Last": "Öhman"})
    row = batch.submissions.to_dict("records")[0]
    assert row["is_deleted"]
    assert not row["is_usable"]
    assert batch.faults.empty
    assert pd.isna(row["address"])
    assert pd.isna(row["family_name"])
    assert row["family_key"] == ""
    assert batch.submissions["is_deleted"].tolist() == [True, False]


def test_the_markers_of_erasure_are_the_mappings_own() -> None:
    batch = shape(make_mapping(deleted_values=["poistettu"]), {"Email": "Poistettu"})
    assert batch.submissions.loc[0, "is_deleted"]
    assert batch.faults.empty


def test_a_role_address_is_withheld_unless_the_feed_is_of_legal_persons() -> None:
    withheld = shape(make_mapping(), {"Email": "Info+x@example.org", "Newsletter": "No"})
    row = withheld.submissions.to_dict("records")[0]
    assert (row["is_role_address"], row["withheld"], row["is_usable"]) == (True, "role_address", False)
    assert withheld.decisions["value"].tolist() == ["withdraw"]
    kept = shape(make_mapping(legal_persons=True), {"Email": "info@example.org"}).submissions
    assert kept["withheld"].isna().all()
    assert kept.loc[0, "is_usable"]


def test_a_draft_is_withheld_and_says_nothing() -> None:
    mapping = make_mapping(
        kind="enquiry",
        drafts={"column": "Draft", "values": {"1": "draft", "0": "final"}},
        fields={"email": EMAIL, "message": {"column": "Message"}},
    )
    rows: list[dict[str, str | None]] = [
        {"Draft": "1", "Newsletter": "No", "Time": "never", "Message": "half a"},
        {"Draft": "0"},
        {"Draft": None},
        {"Draft": "maybe"},
    ]
    batch = shape(mapping, *rows)
    assert batch.submissions["withheld"].fillna("").tolist() == ["draft", "", "", ""]
    assert batch.submissions["is_usable"].tolist() == [False, True, True, False]
    assert batch.submissions["is_enquiry"].tolist() == [False, True, True, True]
    assert batch.decisions.empty
    assert batch.answers.empty
    assert told(batch) == [(4, "drafts", "unknown_answer", "row")]


def test_a_coded_value_that_is_not_ours_is_a_mapping_error() -> None:
    with pytest.raises(MappingError, match="drafts"):
        shape(make_mapping(drafts={"column": "Draft", "values": {"1": "yes"}}), {"Draft": "1"})


def test_a_feed_of_people_without_a_mapped_address_is_a_mapping_error() -> None:
    with pytest.raises(MappingError, match=r"fields\.email"):
        shape(make_mapping(fields={"phone": {"column": "Email"}}), {})


def test_an_enquiry_form_is_all_enquiries_unless_it_asks_who_wants_an_answer() -> None:
    assert shape(make_mapping(kind="enquiry"), {}).submissions["is_enquiry"].tolist() == [True]
    asks = {"column": "Contact", "values": {"Yes, please": "yes", "No": "no"}}
    batch = shape(
        make_mapping(kind="enquiry", wants_contact=asks),
        *[{"Contact": answer} for answer in ("YES,  please ", "no", None, "later")],
    )
    assert batch.submissions["is_enquiry"].tolist() == [True, False, False, False]
    assert told(batch) == [(4, "wants_contact", "unknown_answer", "effect")]
    assert not shape(make_mapping(), {}).submissions["is_enquiry"].any()


def test_free_text_is_kept_as_an_answer_without_identity_codes() -> None:
    mapping = make_mapping(fields={"email": EMAIL, "message": {"column": "Text"}}, answers={"Wish": "wish"})
    batch = shape(
        mapping, {"Text": "My code is 131052-308T, call me", "Wish": "Lunch at 12"}, {"Text": None, "Wish": " "}
    )
    answers = batch.answers.to_dict("records")
    assert [(a["row_no"], a["question"]) for a in answers] == [(1, "message"), (1, "wish")]
    assert "131052" not in answers[0]["answer"]
    assert "call me" in answers[0]["answer"]


@pytest.mark.parametrize("field", ["organisation", "city"])
@pytest.mark.parametrize("code", ["010594Y9021", "010594 – 9021", "FI21 1234 5600 0007 85"])
def test_a_short_text_with_a_code_in_it_is_dropped_and_only_the_field_is_at_fault(field: str, code: str) -> None:
    mapping = make_mapping(fields={"email": EMAIL, field: {"column": "Text"}})
    batch = shape(mapping, {"Text": f"Tmi Aino {code}"}, {"Text": "Astmaliitto 90210"})
    assert batch.submissions[field].fillna("").to_list() == ["", "Astmaliitto 90210"]
    assert batch.faults[["row_no", "field", "fault", "blocks"]].values.tolist() == [[1, field, "holds_code", "field"]]
    assert batch.submissions["is_usable"].all()


def test_an_answer_that_tells_of_health_is_dropped_whole_and_counted() -> None:
    batch = shape(
        make_mapping(answers={"Wish": "wish"}), {"Wish": "Window seat. I have coeliac disease."}, {"Wish": "Aisle"}
    )
    assert batch.answers["answer"].tolist() == ["Aisle"]
    assert batch.dropped == {"Wish": 1}


def test_shuffled_rows_give_the_same_submissions() -> None:
    raw = make_raw(*[{"Email": f"p{n}@example.org", "Newsletter": ["Yes", "No", None][n % 3]} for n in range(12)])
    straight, shuffled = (
        shape_batch(frame, make_mapping(), received_at=RECEIVED, policy=POLICY).submissions.drop(columns="row_no")
        for frame in (raw, raw.sample(frac=1, random_state=1))
    )
    by_id = [frame.sort_values("submission_id", ignore_index=True) for frame in (straight, shuffled)]
    pd.testing.assert_frame_equal(by_id[0], by_id[1])


CELLS = (
    st.none()
    | st.text(max_size=12)
    | st.sampled_from(["Yes", "no", "a@example.org", "2026-11-20", "<DELETED>", "31.2.2026"])
)


@settings(deadline=None, max_examples=sized(15, 1_000))
@given(
    st.lists(
        st.fixed_dictionaries(dict.fromkeys(("Id", "Time", "Email", "Newsletter", "First", "Last"), CELLS)), max_size=4
    )
)
def test_whatever_is_in_the_cells_every_row_is_accounted_for(rows: list[dict[str, str | None]]) -> None:
    mapping = make_mapping(fields=NAMED)
    raw = make_raw({}, *rows) if rows else make_raw({"First": None, "Last": None})
    raw = raw.reindex(columns=sorted(mapping.mapped_columns())).astype("str")
    batch = shape_batch(raw, mapping, received_at=RECEIVED, policy=POLICY)
    assert_declared(batch)
    assert batch.submissions["row_no"].tolist() == list(range(1, len(raw) + 1))
    assert set(batch.decisions["row_no"]) | set(batch.faults["row_no"]) <= set(batch.submissions["row_no"])
    blocked = set(batch.faults.loc[batch.faults["blocks"] == "row", "row_no"])
    assert not batch.submissions.loc[batch.submissions["row_no"].isin(blocked), "is_usable"].any()
    assert (batch.decisions["effective_at"] <= datetime(2026, 11, 20, 12, tzinfo=UTC)).all()
