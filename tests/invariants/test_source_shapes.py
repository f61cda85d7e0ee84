"""Shapes of sources through the whole pipeline: drifting questions, erased submissions, blocked addresses, several people."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any

import orjson
import pytest

from connectors.fetching import HttpSettings
from connectors.webropol import WebropolSettings
from pipelines.operations.checking import check_file
from pipelines.operations.quarantine import retry
from pipelines.operations.questions import changed_feeds
from pipelines.operations.status import check_status
from schemas.errors import BatchRefused, ConfigurationError
from tests.connectors.http_stub import Answer, Asked, stub_server
from tests.invariants.acts import T0, Who, answer, iso, register, sign_up
from tests.invariants.feeds import COLUMNS, MAPPINGS, PERSON, WORDING
from tests.invariants.world import World, csv_bytes

AINO, MAIJA, KALLE = (
    Who("aino@example.org", "aino"),
    Who("maija@example.org", "maija"),
    Who("kalle@example.org", "kalle"),
)
LATER = T0 + timedelta(days=1)


def marketing(world: World) -> dict[str, bool]:
    """By address whether the CRM shows marketing as a whole."""
    return {
        address: on
        for (address, purpose, topic), on in world.holds().consents.items()
        if (purpose, topic) == ("marketing", "")
    }


def outcomes(world: World) -> set[tuple[str, str]]:
    return {tuple(row) for row in world.query("select state, reason from intake.row_outcome")}


def stop_reason(world: World) -> str:
    ((reason,),) = world.query("select stop_reason from intake.batch where state = 'stopped'")
    return str(reason)


def renamed(column: str, name: str, rows: list[dict[str, str]]) -> bytes:
    columns = [name if title == column else title for title in COLUMNS["answers"]]
    return csv_bytes(
        columns, [{(name if title == column else title): cell for title, cell in row.items()} for row in rows]
    )


def test_a_renamed_question_stops_the_batch_with_a_diff_until_the_mapping_is_mended(world: World) -> None:
    world.perform([answer(1, AINO, T0, newsletter="Yes")])
    world.run()
    delivery = renamed("Newsletter", "Newsletters", [answer(2, MAIJA, LATER, newsletter="Yes").row])
    checked = check_file(world.session(), "answers", delivery)
    assert (checked.changed, checked.is_understood) == (["~ 'Newsletter' is now 'Newsletters'"], False)
    world.receive_bytes("answers", delivery)
    assert world.run().stops() == {"missing_column": 1}
    reason = stop_reason(world)
    assert "~ 'Newsletter' is now 'Newsletters'" in reason
    (shown,) = changed_feeds(world.session())
    assert (shown["feed"], shown["diff"]) == ("answers", ["~ 'Newsletter' is now 'Newsletters'"])
    asked = {
        "purpose": "marketing",
        "column": "Newsletters",
        "grants": ["Yes"],
        "wording": WORDING,
        "notice_version": "2026-01",
    }
    world.with_mapping("answers", consents=[asked], ignored=["Training", "Rdi", "Stop"])
    assert [gated.stop for gated in retry(world.session())] == [None]
    world.run()
    assert marketing(world) == {AINO.key: True, MAIJA.key: True}
    assert changed_feeds(world.session()) == []
    assert check_file(world.session(), "answers", delivery).changed == []


class Survey:
    """Webropol with two questions, whose texts can be swapped."""

    def __init__(self) -> None:
        self.texts = {"q1": "News", "q2": "Stop"}
        self.responses: list[dict[str, Any]] = []

    def respond(self, number: int, who: Who, at: str, **answers: str) -> None:
        told = [{"QuestionId": "q0", "Question": "Email", "Answer": who.address}]
        told += [{"QuestionId": q, "Question": self.texts[q], "Answer": text} for q, text in answers.items()]
        self.responses.append({"ResponseId": f"r-{number}", "ResponseDate": at, "RespondentAnswers": told})

    def __call__(self, asked: Asked) -> Answer:
        if asked.path == "/Token":
            return Answer({"access_token": "t"})
        if asked.path.endswith("/questions"):
            listed = {"q0": "Email", **self.texts}
            return Answer(
                {
                    "Questions": [
                        {"QuestionId": q, "QuestionText": text, "QuestionOrderNumber": n}
                        for n, (q, text) in enumerate(listed.items())
                    ]
                }
            )
        paging = {"TotalCount": len(self.responses), "CurrentPage": 1, "IsLastItemFetched": True}
        return Answer({"Paging": paging, "SurveyAnswers": self.responses})


def pulled_survey(world: World, **changes: Any) -> None:
    plain = {"fields": {"email": {"column": "Email"}}, "submitted_at": {"column": "ResponseDate"}, "overlap_days": 0}
    delivery = {"file": None, "api": {"resource": "s"}, "key": ["ResponseId"]}
    world.with_mapping("survey", **{**plain, **delivery, **changes}).with_feeds("survey")


@contextmanager
def serving(world: World, survey: Survey) -> Iterator[None]:
    with stub_server(survey) as stub:
        settings = WebropolSettings("u", "p", base_url=stub.url, http=HttpSettings(sleep=lambda _s: None))
        world.workspace = replace(world.workspace, sources=replace(world.workspace.sources, webropol=settings))
        yield


def asking(column: str, **changes: Any) -> dict[str, Any]:
    return {
        "purpose": "marketing",
        "column": column,
        "grants": ["Yes"],
        "wording": WORDING,
        "notice_version": "2026-01",
        **changes,
    }


def told_of_questions(world: World) -> str:
    """All that a person's answer could be read from outside the landing: stops, questions, alarms."""
    stopped = world.query("select stop_reason, stop_remedy from intake.batch")
    kept = world.query("select known, shown from intake.question_map")
    return str((list(stopped), list(kept), check_status(world.session()).alarms))


@pytest.mark.parametrize(
    ("layout", "top"),
    [({}, ""), ({"second_row": "joined"}, "A;B;C;D;E;F;G;H;I\n"), ({"second_row": "dropped"}, "A;B;C;D;E;F;G;H;I\n")],
)
def test_a_person_in_the_row_of_the_titles_is_told_nowhere(world: World, layout: dict[str, str], top: str) -> None:
    world.perform([answer(1, AINO, T0, newsletter="Yes")])
    world.run()
    file = {"type": "csv", "pattern": "answers_*.csv", "header_row": 1 if top else 2, "layout": layout}
    world.with_mapping("answers", file=file)
    people = csv_bytes(COLUMNS["answers"], [answer(2, MAIJA, LATER, newsletter="Yes").row]).decode()
    delimiter = ";" if ";" in people.split("\n")[0] else ","
    rows = people.split("\n", 1)[1] if top else people
    world.receive_bytes("answers", (top.replace(";", delimiter) + rows).encode())
    assert world.run().stops() == {"unreadable_table": 1}
    assert "titles, is an answer" in stop_reason(world)
    told = told_of_questions(world)
    assert MAIJA.address not in told and MAIJA.key not in told
    assert changed_feeds(world.session()) == []


ODD_TITLES = ["12.1.2026", "12.1.2026 klo 9.00", "100 000 - 499 999", "00100-00990", "1234567890", "010126-3001"]


@pytest.mark.parametrize(
    ("title", "is_named"), [*((title, False) for title in ODD_TITLES), ("12.1.2026", True), ("info@example.org", True)]
)
def test_titles_that_look_like_answers_hold_back_no_withdrawal(world: World, title: str, is_named: bool) -> None:
    world.perform([answer(1, AINO, T0, newsletter="Yes")])
    world.run()
    if is_named:
        world.with_mapping("answers", ignored=[*MAPPINGS["answers"].get("ignored", []), title])
    rows = [answer(2, AINO, LATER, newsletter="No").row, answer(3, MAIJA, LATER, newsletter="Yes").row]
    world.receive_bytes("answers", csv_bytes([*COLUMNS["answers"], title], [{**row, title: "x"} for row in rows]))
    assert world.run().stops() == ({} if is_named else {"unmapped_column": 1})
    assert marketing(world) == ({AINO.key: False, MAIJA.key: True} if is_named else {AINO.key: False})


def test_what_somebody_writes_before_a_colon_is_told_nowhere(world: World) -> None:
    people = {"column": "Attendees", "form": "text", "columns": ["E-mail", "Note"]}
    world.with_mapping(
        "answers",
        arrangement={"items": people},
        fields={"email": {"column": "Attendees.E-mail"}},
        ignored=["Attendees.Note"],
        consents=[],
    )
    written = "E-mail: maija@example.org\nNote: see below\nCode 010203-123X, allergic to: nuts\nand milk"
    world.receive_bytes(
        "answers", csv_bytes(["Id", "Time", "Attendees"], [{"Id": "1", "Time": iso(T0), "Attendees": written}])
    )
    assert world.run().stops() == {"unmapped_column": 1}
    assert "'Attendees.?'" in stop_reason(world)
    told = told_of_questions(world)
    assert not [word for word in ("010203", "allergic", "nuts", "milk", "maija") if word in told]


def test_days_whose_order_a_file_contradicts_begin_nothing_and_lose_no_withdrawal(world: World) -> None:
    time = {"column": "Time", "formats": ["fi_date", "fi_datetime"], "timezone": "Europe/Helsinki"}
    world.with_mapping("answers", submitted_at=time)
    world.receive("answers", [{**answer(1, KALLE, T0, newsletter="Yes").row, "Time": "3.1.2026 9.05"}])
    world.run()
    rows = [
        {**answer(2, AINO, T0, newsletter="Yes").row, "Time": "1.15.2026 9.05"},
        {**answer(3, MAIJA, T0, newsletter="Yes").row, "Time": "1.4.2026 9.05"},
        {**answer(4, KALLE, T0, newsletter="No").row, "Time": "1.2.2026 9.05"},
    ]
    world.receive("answers", rows)
    world.run()
    assert marketing(world) == {KALLE.key: False}
    faults = world.query("select row_no, fault from intake.quarantine where field = 'submitted_at' order by row_no")
    assert [tuple(row) for row in faults] == [(1, "date_impossible"), (2, "date_ambiguous"), (3, "date_ambiguous")]


def told_by(world: World) -> set[Any]:
    """The keys of all events, and what each submission held when it was last read."""
    events = world.query("select event_key from intake.consent_event")
    held = world.query("select submission_id, content_hash from intake.submission")
    return {tuple(row) for row in (*events, *held)}


def test_one_mistyped_day_dates_no_unchanged_answer_anew(world: World) -> None:
    time = {"column": "Time", "formats": ["fi_date"], "timezone": "Europe/Helsinki"}
    world.with_mapping("answers", submitted_at=time)
    refused = {**answer(1, AINO, T0, newsletter="No").row, "Time": "1.2.2026"}
    settled = {**answer(2, MAIJA, T0, newsletter="Yes").row, "Time": "25.1.2026"}
    world.receive("answers", [refused, settled])
    world.receive("answers", [{**answer(3, AINO, T0, newsletter="Yes").row, "Time": "2.3.2026"}])
    world.run()
    before = told_by(world)
    assert marketing(world) == {AINO.key: True, MAIJA.key: True}
    world.receive("answers", [refused, settled, {**answer(4, KALLE, T0, newsletter="Yes").row, "Time": "6.13.2026"}])
    world.run()
    assert marketing(world) == {AINO.key: True, MAIJA.key: True}
    assert before <= told_by(world)
    faults = world.query("select row_no, fault from intake.quarantine where field = 'submitted_at'")
    assert [tuple(row) for row in faults] == [(3, "date_impossible")]


def test_two_questions_that_swapped_their_titles_raise_nothing_though_every_column_fits(world: World) -> None:
    survey = Survey()
    consents = [
        asking("News"),
        {"purpose": "marketing", "column": "Stop", "polarity": "prohibition", "grants": ["Yes"]},
    ]
    pulled_survey(world, consents=consents)
    with serving(world, survey):
        survey.respond(1, AINO, "2026-11-10T10:00:00", q1="Yes")
        assert not world.run().stops()
        survey.texts = {"q1": "Stop", "q2": "News"}
        survey.respond(2, MAIJA, "2026-11-11T10:00:00", q2="Yes")
        survey.respond(3, AINO, "2026-11-12T10:00:00", q1="Yes")
        assert world.run().stops() == {"questions_changed": 1}
    reason = stop_reason(world)
    assert "'News' is another question now" in reason
    assert "'Stop' is another question now" in reason
    assert marketing(world) == {AINO.key: False}, "what can be read as lowering lowers, and nothing raises"


def saved(survey: Survey, what: str) -> bytes:
    """An answer of the API, saved as a file by hand."""
    return orjson.dumps(survey(Asked("POST", f"/api/v1/surveys/s/{what}", {}, "", {})).body)


def test_a_saved_answer_of_a_pulled_survey_is_checked_as_a_pull_would_be(world: World) -> None:
    survey = Survey()
    pulled_survey(world, consents=[asking("News")], answers={"Stop": "stop"})
    survey.respond(1, AINO, "2026-11-10T10:00:00", q1="Yes", q2="x")
    survey.respond(2, MAIJA, "2026-11-10T10:00:00", q1="Perhaps")
    survey.responses[1]["RespondentAnswers"][0]["Answer"] = "maija(at)example.org"
    verdict = check_file(world.session(), "survey", saved(survey, "responses"), questions=saved(survey, "questions"))
    assert (verdict.refused, verdict.is_understood, verdict.is_partial) == (None, True, False)
    assert verdict.states == {"taken in": 1, "quarantined": 1}
    assert {each["field"] for each in verdict.rows} >= {"email"}
    assert verdict.purposeless == ["Stop"], "no purpose of a survey needs that answer"
    verdicts = {each["column"]: each["verdict"] for each in verdict.columns}
    assert verdicts == {
        "Email": "read",
        "News": "read",
        "Stop": "no purpose",
        "ResponseId": "read",
        "ResponseDate": "read",
    }
    assert not world.query("select 1 from intake.batch where feed = 'survey'"), "nothing is kept"
    assert "example.org" not in str((verdict.columns, verdict.rows))


def test_a_saved_answer_of_a_pulled_survey_shows_how_its_questions_changed(world: World) -> None:
    survey = Survey()
    pulled_survey(world, consents=[asking("News"), asking("Stop")])
    with serving(world, survey):
        survey.respond(1, AINO, "2026-11-10T10:00:00", q1="Yes")
        assert not world.run().stops()
    survey.texts = {"q1": "Newsletter", "q2": "Stop"}
    survey.responses = []
    survey.respond(2, MAIJA, "2026-11-11T10:00:00", q1="Yes")
    partial = check_file(world.session(), "survey", saved(survey, "responses"))
    assert (partial.changed, partial.is_partial) == (["~ 'News' is now 'Newsletter'"], True)
    assert partial.refused is not None
    assert "lacks columns that its mapping reads: 'News'" in partial.refused, "Stop is only unanswered"
    survey.texts = {"q1": "Newsletter", "q3": "Shoe size"}
    whole = check_file(world.session(), "survey", saved(survey, "responses"), questions=saved(survey, "questions"))
    assert whole.changed == ["+ 'Shoe size'", "- 'Stop'", "~ 'News' is now 'Newsletter'"]
    survey.texts = {"q1": "Stop", "q2": "News"}
    survey.respond(3, KALLE, "2026-11-12T10:00:00", q1="Yes", q2="Yes")
    survey.responses = survey.responses[-1:]
    swapped = check_file(world.session(), "survey", saved(survey, "responses"), questions=saved(survey, "questions"))
    assert not swapped.is_understood, "every column fits, and the run would stop it all the same"
    assert swapped.refused is not None
    assert "'News' is another question now" in swapped.refused
    answers = [{"QuestionId": "of the copy", "Question": "Email", "Answer": KALLE.address}]
    copied = [{"ResponseId": "r-4", "ResponseDate": "2026-11-13T10:00:00", "RespondentAnswers": answers}]
    assert check_file(world.session(), "survey", orjson.dumps(copied)).changed == [], "a copy is no drift"


@pytest.mark.parametrize(
    ("sample", "what"),
    [
        (b"{", "not a JSON"),
        (b'{"Questions": []}', "SurveyAnswers"),
        (b"[1]", "SurveyAnswers"),
        (b'[{"ResponseId": "00000000-0000-0000-0000-000000000000"}]', "surveys/s/responses"),
    ],
)
def test_a_sample_of_a_pulled_survey_that_is_none_is_refused_with_what_to_save(
    world: World, sample: bytes, what: str
) -> None:
    with pytest.raises(ConfigurationError, match="Leave --questions out"):
        check_file(world.session(), "answers", b"[]", questions=b"{}")
    pulled_survey(world, consents=[])
    with pytest.raises(BatchRefused, match="Remedy: Save the API's answer") as refused:
        check_file(world.session(), "survey", sample)
    assert what in str(refused.value)
    with pytest.raises(BatchRefused, match="surveys/s/questions"):
        check_file(world.session(), "survey", b"[]", questions=sample)


@pytest.mark.parametrize(
    ("charge", "shown", "begins"), [("paid", True, True), ("free", True, False), ("paid", False, False)]
)
def test_news_of_similar_events_begins_by_a_sale_with_its_notice_alone_and_is_no_consent(
    world: World, charge: str, shown: bool, begins: bool
) -> None:
    occasion = {**MAPPINGS["courses"]["occasion"], "notice_shown": shown}
    world.with_mapping("courses", occasion=occasion)
    world.perform([register(1, AINO, T0, charge=charge)])
    world.run()
    purposes = {purpose for (purpose,) in world.query("select purpose from intake.person_purpose")}
    assert ("related_events" in purposes) == begins
    assert "course_delivery" in purposes
    assert not world.query("select 1 from intake.consent_event where purpose = 'related_events' and value = 'grant'")
    assert not marketing(world).get(AINO.key)


@pytest.mark.parametrize("means", ["erasure", "retention"])
def test_a_submission_deleted_at_its_source_lowers_what_it_began_unless_the_source_only_keeps_no_longer(
    world: World, means: str
) -> None:
    world.with_mapping("answers", erased={"column": "State", "values": ["deleted"]}, erasure_means=means)
    row = answer(1, AINO, T0, newsletter="Yes").row
    world.receive("answers", [{**row, "State": "completed"}])
    world.run()
    assert marketing(world) == {AINO.key: True}
    world.receive("answers", [{**row, "State": "deleted", "Email": "<DELETED>", "First": "<DELETED>"}])
    world.run()
    assert marketing(world) == {AINO.key: means == "retention"}
    marked = world.query("select count(*) from intake.submission where erased_at_source is not null")[0][0]
    assert marked == (means == "erasure")
    assert ("applied", "erased_at_source") in outcomes(world)
    names = {str(name).lower() for (name,) in world.query("select given_name from intake.submission")}
    assert "<deleted>" not in names, "a marker is never upserted over a name"
    reasons = {reason for (reason,) in world.query("select reason from intake.consent_event where value = 'withdraw'")}
    assert reasons == ({"deleted_at_source"} if means == "erasure" else set())
    assert not world.writes(world.syncs[-1]) or means == "erasure"
    since = world.emulator.control.last_sequence()
    world.run()
    assert not world.writes(since), "a second run writes nothing"
    asked = world.query("select kind, state, person_id is not null, taken_by from intake.data_request")
    assert asked == ([("erasure", "open", True, "the source")] if means == "erasure" else [])


def test_a_block_by_the_provider_suppresses_with_a_reason_of_its_own_and_a_later_act_lifts_it(world: World) -> None:
    blocked = {
        "purpose": "marketing",
        "column": "Stop",
        "polarity": "prohibition",
        "grants": ["Yes"],
        "refuses": ["No"],
    }
    world.with_mapping(
        "answers", consents=[asking("Newsletter"), {**blocked, "stated_by": "provider"}], ignored=["Training", "Rdi"]
    )
    world.perform([answer(1, AINO, T0, newsletter="Yes")])
    world.run()
    world.perform([answer(2, AINO, LATER, stop="Yes")])
    world.run()
    events = {
        tuple(row)
        for row in world.query("select purpose, actor, reason from intake.consent_event where value = 'withdraw'")
    }
    assert events == {
        ("marketing", "import", "blocked_by_provider"),
        ("related_events", "import", "blocked_by_provider"),
    }
    assert marketing(world) == {AINO.key: False}
    world.perform([sign_up(3, AINO, LATER + timedelta(days=1))])
    world.run()
    assert marketing(world) == {AINO.key: True}


def test_a_booker_consents_for_herself_only_and_only_the_attendee_is_registered(world: World) -> None:
    title = {"email": "Guest email", "given_name": "Guest first", "family_name": "Guest last"}
    own = {"email": "own email", "given_name": "own first", "family_name": "own last"}
    blocks = [
        {
            "id": "booker",
            "columns": {own[name]: ref["column"] for name, ref in PERSON.items()},
            "registers": "if_alone",
        },
        {"id": "guest", "columns": {own[name]: title[name] for name in own}},
    ]
    world.with_mapping(
        "courses",
        fields={name: {"column": column} for name, column in own.items()},
        arrangement={"blocks": blocks},
        consents=[asking("Marketing", given_by="booker")],
        ignored=["Phone", "Marketing changed"],
    )
    row = {
        **dict.fromkeys(COLUMNS["courses"], ""), "Id": "c1", "Time": iso(T0), "Changed": iso(T0), **AINO.cells(),
        "Guest email": MAIJA.address, "Guest first": "Maija", "Guest last": "Lahti",
        "Course": "1", "Course name": "Course 1", "Starts": "2026-12-01", "Ends": "2026-12-02", "Charge": "free",
        "Status": "in", "Marketing": "Yes",
    }  # fmt: skip
    alone = {
        **row,
        "Id": "c2",
        **KALLE.cells(),
        "Guest email": "",
        "Guest first": "",
        "Guest last": "",
        "Marketing": "",
    }
    world.receive("courses", [row, alone])
    assert not world.run().stops()
    assert marketing(world) == {AINO.key: True}
    registered = {person for person, _, status in world.holds().registrations.values() if status == "active"}
    assert registered == {(MAIJA.key, "maija"), (KALLE.key, "kalle")}
    read = world.query("select count(*) from intake.row_outcome")[0][0]
    assert read == 3, "two rows speak of three people, and each has an end"
    since = world.emulator.control.last_sequence()
    world.receive("courses", [row, alone])
    world.run()
    assert not world.writes(since)
