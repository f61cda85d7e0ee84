"""Webropol's API: both shapes of an answer, titles that collide, pages, tokens and windows."""

import json
from datetime import date
from typing import Any

import pytest

from connectors.decoders import decode
from connectors.fetching import HttpSettings
from connectors.webropol import WebropolResponses, WebropolSettings
from connectors.webropol_answers import responses_frame
from pipelines.transforms.columns import misfit
from schemas.errors import SourceError, SourceUnavailable
from schemas.mappings import RECEIVED_AT, Mapping
from schemas.records import Window
from tests.connectors.http_stub import Answer, Asked, Stub, stub_server
from tests.feeds import NOW, SAMPLES, WINDOW, make_mapping

QUESTIONS = [("q1", "Email"), ("q2", "Newsletter"), ("q3", "Topics")]


def survey(**changes: Any) -> Mapping:
    plain = {
        "source": "webropol",
        "kind": "survey",
        "file": None,
        "api": {"resource": "s-1"},
        "key": ["ResponseId"],
        "submitted_at": {"column": "ResponseDate"},
    }
    return make_mapping(**{**plain, **changes})


def sample(name: str) -> list[dict[str, Any]]:
    return json.loads((SAMPLES / "webropol_api" / name).read_text())["SurveyAnswers"]  # type: ignore[no-any-return]


def response(number: int, at: str, *cells: tuple[str, str]) -> dict[str, Any]:
    answers = [{"QuestionId": f"q{title}", "Question": title, "Label": None, "Answer": text} for title, text in cells]
    return {"ResponseId": f"r-{number}", "ResponseDate": at, "RespondentAnswers": answers}


class Webropol:
    """Answers as the vendor's API does, `page_rows` responses a page."""

    def __init__(self, responses: list[dict[str, Any]], *, page_rows: int = 2) -> None:
        self.responses = responses
        self.page_rows = page_rows
        self.tokens = 0
        self.refuse_next = 0

    def __call__(self, asked: Asked) -> Answer:
        if asked.path == "/Token":
            self.tokens += 1
            return Answer({"access_token": f"t{self.tokens}", "token_type": "bearer", "expires_in": 14399})
        if self.refuse_next:
            self.refuse_next -= 1
            return Answer({}, 401)
        if asked.path.endswith("/questions"):
            return Answer({"Questions": [question(n, *q) for n, q in enumerate(QUESTIONS, 1)]})
        return Answer(self.page(int(asked.query["paging"])))

    def page(self, number: int) -> dict[str, Any]:
        rows = self.responses[(number - 1) * self.page_rows : number * self.page_rows]
        is_last = number * self.page_rows >= len(self.responses)
        paging = {"TotalCount": len(self.responses), "CurrentPage": number, "IsLastItemFetched": is_last}
        return {"SurveyId": "s-1", "Paging": paging, "SurveyAnswers": rows}


def question(order: int, question_id: str, text: str) -> dict[str, Any]:
    return {"QuestionId": question_id, "QuestionText": text, "QuestionOrderNumber": order}


def connector(stub: Stub) -> WebropolResponses:
    http = HttpSettings(sleep=lambda _seconds: None, attempts=2)
    return WebropolResponses(WebropolSettings("reader", "secret", base_url=stub.url, http=http))


def pull(api: Webropol, *, mapping: Mapping | None = None, window: Window = WINDOW) -> tuple[Stub, list[Any]]:
    with stub_server(api) as stub:
        return stub, list(connector(stub).iter_batches(mapping or survey(), window, now=NOW))


def test_the_flat_shape_of_the_vendors_sample_is_read() -> None:
    [row] = responses_frame(sample("getSurveyAnswers.json"), survey(), titles=[]).to_dict("records")
    assert row["ResponseId"] == "0725646a-cafb-4126-a4f0-0a6660b9d812"
    assert row["What is your favourite city in Finland?"] == "Helsinki"
    assert row["What is your favourite...:fruit"] == "apple"
    assert row["Enter your details:WEIGHT (KG)"] == "65"


def test_the_links_of_uploaded_files_are_left_out() -> None:
    frame = responses_frame(sample("getSurveyAnswers.json"), survey(), titles=[])
    assert not any("storedFileId" in str(cell) for cell in frame.to_numpy().ravel())


def test_the_paged_sample_is_read_and_its_respondent_only_where_mapped() -> None:
    rows = sample("getSurveyResponses.json")
    plain = responses_frame(rows, survey(), titles=[])
    assert list(plain.columns) == ["ResponseId", "ResponseDate", "Lahtoaika", "Tuloajan_tunti"]
    named = responses_frame(rows, survey(ignored=["RespondentEmail"]), titles=[])
    assert named["RespondentEmail"].tolist() == ["tester@example.test"]


def test_the_nested_shape_of_the_type_definitions_is_read_and_a_zero_id_is_none() -> None:
    frame = responses_frame(sample("getQuestionAnswers.json"), survey(), titles=[])
    assert frame["Which of the following fruits do you like?"].tolist() == ["Orange", "Apple"]
    assert frame["ResponseId"].isna().all()


def test_each_option_of_a_multiple_choice_is_a_column_and_its_text_field_another() -> None:
    answer = {
        "QuestionId": "q3",
        "QuestionTitle": "Topics",
        "QuestionTypeName": "questionType_multipleChoice",
        "QuestionAnswers": [
            {"OptionAnswer": "Training", "AttahedTextFieldValue": ""},
            {"OptionAnswer": "Other", "AttahedTextFieldValue": "drones"},
        ],
    }
    [row] = responses_frame([{"RespondentAnswers": [answer]}], survey(), titles=[]).to_dict("records")
    assert {k: row[k] for k in row if str(k).startswith("Topics")} == {
        "Topics:Training": "Training",
        "Topics:Other": "Other",
        "Topics:Other:text": "drones",
    }


def test_two_questions_with_one_text_keep_their_titles_whichever_is_answered() -> None:
    titles = [["a", "Email"], ["b", "Email"]]
    second = {"QuestionId": "b", "Question": "Email", "Answer": "x"}
    alone = responses_frame([{"RespondentAnswers": [second]}], survey(), titles=titles)
    both = [{"RespondentAnswers": [second, {"QuestionId": "a", "Question": "Email", "Answer": "y"}]}]
    assert alone["Email #2"].tolist() == ["x"]
    assert responses_frame(both, survey(), titles=titles)[["Email", "Email #2"]].values.tolist() == [["y", "x"]]


def test_a_mapped_question_that_nobody_answered_is_blank_and_one_that_is_gone_is_missing() -> None:
    mapping = survey(answers={"Topics:Training": "training", "Gone": "gone"})
    frame = responses_frame([response(1, "2026-11-20T10:00:00")], mapping, titles=[list(q) for q in QUESTIONS])
    assert frame["Newsletter"].isna().all()
    assert frame["Topics:Training"].isna().all()
    assert "Gone" not in frame.columns


def test_a_question_of_finances_that_nobody_answered_is_blank_and_one_that_is_renamed_stops_the_batch() -> None:
    payer = {"name": "Email", "iban": "Billing:Account"}
    mapping = survey(answers={}, consents=[], finance={"kind": "fee", "payer": payer})
    answered = [response(1, "2026-11-20T10:00:00", ("Email", "p@example.org"))]
    frame = responses_frame(answered, mapping, titles=[["q1", "Email"], ["q9", "Billing"]])
    assert misfit(frame, mapping) is None and frame["Billing:Account"].isna().all()
    renamed = misfit(responses_frame(answered, mapping, titles=[["q1", "Email"], ["q9", "Invoicing"]]), mapping)
    assert renamed is not None and "'Billing:Account'" in str(renamed)


def test_all_pages_of_the_window_make_one_batch() -> None:
    rows = [response(n, f"2026-11-20T10:0{n}:00.{n}", ("Email", f"p{n}@example.org")) for n in range(5)]
    stub, [batch] = pull(Webropol(rows))
    frame = decode(batch.media_type, batch.payload, survey())
    assert frame["Email"].tolist() == [f"p{n}@example.org" for n in range(5)]
    assert [asked.query["paging"] for asked in stub.asked if asked.query] == ["1", "2", "3"]
    assert batch.watermark == "2026-11-20T08:04:00.400000+00:00"
    assert all(asked.headers.get("Authorization") == "Bearer t1" for asked in stub.asked[1:])


def test_the_window_and_its_overlap_decide_which_responses_are_taken() -> None:
    days = ["2026-11-17T23:59:59.999", "2026-11-18T00:00:00", "2026-11-20T23:59:59.99", "2026-11-21T00:00:00"]
    rows = [response(n, day, ("Email", f"p{n}@example.org")) for n, day in enumerate(days)]
    stub, [batch] = pull(Webropol(rows, page_rows=50))
    assert decode(batch.media_type, batch.payload, survey())["ResponseId"].tolist() == ["r-1", "r-2"]
    [filters] = [json.loads(asked.body) for asked in stub.asked if asked.query]
    assert filters == {"StartDate": "2026-11-16T22:00:00.000Z", "EndDate": "2026-11-21T22:00:00.000Z"}


def test_a_pulled_row_counts_as_received_at_the_end_of_its_day_or_now() -> None:
    rows = [response(1, "2026-11-20T10:00:00"), response(2, "2026-11-21T05:00:00")]
    window = Window(date(2026, 11, 20), date(2026, 11, 21))
    _, [batch] = pull(Webropol(rows), window=window)
    received = decode(batch.media_type, batch.payload, survey())[RECEIVED_AT]
    assert received.tolist() == ["2026-11-20T21:59:59.999999+00:00", "2026-11-21T06:00:00+00:00"]
    assert batch.received_at == NOW
    assert batch.received_on == date(2026, 11, 21)


def test_the_same_responses_pulled_again_are_the_same_batch() -> None:
    rows = [response(1, "2026-11-20T10:00:00"), response(2, "2026-11-21T05:00:00")]
    window = Window(date(2026, 11, 20), date(2026, 11, 21))
    hashes = set()
    with stub_server(Webropol(rows)) as stub:
        for later in range(2):
            now = NOW.replace(hour=6 + later)
            hashes |= {b.content_hash for b in connector(stub).iter_batches(survey(), window, now=now)}
    assert len(hashes) == 1


def test_a_pull_without_responses_gives_no_batch() -> None:
    _, batches = pull(Webropol([]))
    assert batches == []


def test_an_expired_token_is_fetched_anew_once() -> None:
    api = Webropol([response(1, "2026-11-20T10:00:00")])
    api.refuse_next = 1
    _, batches = pull(api)
    assert len(batches) == 1
    assert api.tokens == 2
    api.refuse_next = 99
    with pytest.raises(SourceError):
        pull(api)


def test_pages_that_shift_while_they_are_read_are_not_taken_for_the_whole() -> None:
    api = Webropol([response(n, "2026-11-20T10:00:00") for n in range(4)])
    api.responses[2] = api.responses[0]
    with pytest.raises(SourceUnavailable):
        pull(api)


@pytest.mark.parametrize("second", [{}, {"error": "busy"}, [], None, {"SurveyAnswers": []}, {"Paging": {}}])
def test_a_page_without_its_responses_or_its_paging_is_no_end_of_the_survey(second: Any) -> None:
    api = Webropol([response(n, "2026-11-20T10:00:00") for n in range(4)])

    def respond(asked: Asked) -> Answer:
        return Answer(second) if asked.query.get("paging") == "2" else api(asked)

    with stub_server(respond) as stub, pytest.raises(SourceUnavailable, match="page 2"):
        list(connector(stub).iter_batches(survey(), WINDOW, now=NOW))


def test_the_responses_are_held_against_the_most_that_any_page_told_of() -> None:
    api = Webropol([response(n, "2026-11-20T10:00:00") for n in range(4)])
    last = {"SurveyAnswers": [], "Paging": {"TotalCount": 0, "IsLastItemFetched": True}}

    def respond(asked: Asked) -> Answer:
        return Answer(last) if asked.query.get("paging") == "2" else api(asked)

    with stub_server(respond) as stub, pytest.raises(SourceUnavailable, match="changed while it was read"):
        list(connector(stub).iter_batches(survey(), WINDOW, now=NOW))


def test_responses_without_an_id_of_their_own_are_refused_with_the_reason() -> None:
    zero = {**response(1, "2026-11-20T10:00:00"), "ResponseId": "00000000-0000-0000-0000-000000000000"}
    with pytest.raises(SourceError, match="without an id") as error:
        pull(Webropol([zero]))
    assert not error.value.transient


def test_a_full_sweep_reads_old_responses_again_and_only_an_edited_week_is_a_new_batch() -> None:
    old = [response(n, f"2026-0{n}-11T10:00:00", ("Email", f"p{n}@example.org")) for n in (2, 3)]
    api = Webropol([*old, response(9, "2026-11-20T10:00:00", ("Email", "p9@example.org"))], page_rows=50)
    sweeping = survey(api={"resource": "s-1", "full_sweep_days": 1})
    _, before = pull(api, mapping=sweeping)
    api.responses[1] = response(3, "2026-03-11T10:00:00", ("Email", "edited@example.org"))
    _, after = pull(api, mapping=sweeping)
    ids = [decode(b.media_type, b.payload, sweeping)["ResponseId"].tolist() for b in after]
    assert ids == [["r-9"], ["r-2"], ["r-3"]]
    assert [a.content_hash == b.content_hash for a, b in zip(before, after, strict=True)] == [True, True, False]
    assert {b.received_on for b in after} == {WINDOW.last_on}


def test_the_days_of_a_full_sweep_do_not_depend_on_when_they_are_pulled() -> None:
    api = Webropol([response(2, "2026-02-11T10:00:00")], page_rows=50)
    monthly = survey(api={"resource": "s-1", "full_sweep_days": 28})
    days = [Window(day, day) for day in (date.fromordinal(date(2026, 11, 1).toordinal() + n) for n in range(28))]
    swept = [window for window in days if pull(api, mapping=monthly, window=window)[1]]
    whole = Window(days[0].first_on, days[-1].last_on)
    assert len(swept) == 1
    assert pull(api, mapping=monthly, window=whole)[1]


def test_another_page_than_was_asked_for_is_an_error() -> None:
    api = Webropol([response(n, "2026-11-20T10:00:00") for n in range(4)])
    first = api.page(1)
    with stub_server(lambda asked: Answer(first) if asked.query else api(asked)) as stub, pytest.raises(SourceError):
        list(connector(stub).iter_batches(survey(), WINDOW, now=NOW))


def test_neither_settings_nor_errors_show_the_password() -> None:
    assert "secret" not in repr(WebropolSettings("reader", "secret"))
    with stub_server(lambda _asked: Answer({}, 400)) as stub, pytest.raises(SourceError) as error:
        list(connector(stub).iter_batches(survey(), WINDOW, now=NOW))
    assert "secret" not in str(error.value)
