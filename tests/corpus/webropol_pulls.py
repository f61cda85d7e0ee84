"""What Webropol's API answers, as a pull keeps it (facts A5): both shapes, times, ids, questions that share a text."""

import json
from typing import Any

from tests.corpus.cases import Case, consent, document, feed
from tests.feeds import SAMPLES

NO_ID = "00000000-0000-0000-0000-000000000000"
QUESTIONS = [["q1", "Yhteystiedot"], ["q2", "Uutiskirje"], ["q3", "Aiheet"]]


def survey(**changes: Any) -> dict[str, Any]:
    plain: dict[str, Any] = {
        "file": None,
        "api": {"resource": "s-1"},
        "key": ["ResponseId"],
        "submitted_at": {"column": "ResponseDate"},
        "consents": [consent("Uutiskirje", "Kyllä", refuses=["Ei"])],
    }
    fields = {"email": "Yhteystiedot:Sähköposti", "given_name": "Yhteystiedot:Etunimi"}
    return feed("webropol", "survey", fields, **{**plain, **changes})


def flat(question: str, label: str | None, answer: str, question_id: str = "q", **more: Any) -> dict[str, Any]:
    return {
        "QuestionId": question_id,
        "Question": question,
        "Label": label,
        "Answer": answer,
        "AnswerFile": None,
        **more,
    }


def nested(
    title: str, *options: dict[str, Any], question_id: str = "q", kind: str = "textField", label: str | None = None
) -> dict[str, Any]:
    return {
        "QuestionId": question_id,
        "QuestionTitle": title,
        "QuestionTypeName": f"questionType_{kind}",
        "Label": label,
        "QuestionAnswers": list(options),
    }


def option(answer: str, **more: Any) -> dict[str, Any]:
    return {"OptionAnswer": answer, "AttahedTextFieldValue": "", "RowText": None, "AnswerFile": None, **more}


def response(number: int, at: str | None, *answers: dict[str, Any]) -> dict[str, Any]:
    return {
        "ResponseId": f"r-{number}",
        "ResponseDate": at,
        "RespondentId": None,
        "RespondentEmail": None,
        "RespondentAnswers": list(answers),
    }


def pulled(name: str, fact: str, mapping: dict[str, Any], *rows: dict[str, Any], titles: Any = QUESTIONS) -> Case:
    received = ["2026-11-20T12:00:00+00:00"] * len(rows)
    return document(name, fact, mapping, {"received_at": received, "titles": titles, "rows": list(rows)})


def sample(name: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((SAMPLES / "webropol_api" / name).read_text("utf-8"))["SurveyAnswers"]
    return found


WHO = [flat("Yhteystiedot", "Sähköposti", "aino@example.org", "q1"), flat("Yhteystiedot", "Etunimi", "Aino", "q1")]
WHO_NESTED = [nested("Yhteystiedot", option("aino@example.org"), label="Sähköposti", question_id="q1")]
YES = flat("Uutiskirje", None, "Kyllä", "q2")

CASES: list[Case] = [
    pulled(
        "pull_flat",
        "A5 the older, flat shape of an answer",
        survey(),
        response(1, "2026-11-10T11:54:34.253", *WHO, YES),
    ),
    pulled(
        "pull_nested",
        "A5 the newer, nested shape of an answer",
        survey(optional=["Yhteystiedot:Etunimi"]),
        response(
            1,
            "2026-11-10T11:54:34.253",
            *WHO_NESTED,
            nested("Uutiskirje", option("Ei"), question_id="q2", kind="selection"),
        ),
    ),
    pulled(
        "pull_fractions",
        "A5 fractions of any length or none, and no zone: the mapping's zone",
        survey(),
        response(1, "2026-11-10T11:54:34.253", *WHO),
        response(2, "2026-11-10T11:25:48.99", *WHO),
        response(3, "2026-11-10T11:25:48", *WHO),
    ),
    pulled(
        "pull_without_time",
        "A5 a response without a date: its yes counts for nothing",
        survey(),
        response(1, None, *WHO, YES),
    ),
    pulled(
        "pull_zero_id",
        "A5 a zero id is no key: two such answers stay two submissions",
        survey(),
        {**response(1, "2026-11-10T11:54:34", *WHO), "ResponseId": NO_ID},
        {**response(2, "2026-11-10T11:54:35", *WHO), "ResponseId": NO_ID},
    ),
    pulled(
        "pull_two_questions_of_one_text",
        "A5 two questions may share a text: told apart by the survey's order",
        survey(consents=[consent("Uutiskirje #2", "Kyllä")], ignored=["Uutiskirje"]),
        response(
            1,
            "2026-11-10T11:54:34",
            *WHO,
            flat("Uutiskirje", None, "Ei", "q2"),
            flat("Uutiskirje", None, "Kyllä", "q4"),
        ),
        titles=[*QUESTIONS[:2], ["q4", "Uutiskirje"]],
    ),
    pulled(
        "pull_multiple_choice",
        "A5 multiple choice: a column an option; the misspelt AttahedTextFieldValue is its text",
        survey(consents=[], answers={"Aiheet:Koulutus": "training", "Aiheet:Muu": "other", "Aiheet:Muu:text": "which"}),
        response(
            1,
            "2026-11-10T11:54:34",
            *WHO,
            nested(
                "Aiheet",
                option("Koulutus"),
                option("Muu", AttahedTextFieldValue="dronet"),
                question_id="q3",
                kind="multipleChoice",
            ),
        ),
    ),
    pulled(
        "pull_matrix",
        "A5 a matrix: the row's text belongs to the title",
        survey(consents=[], answers={"Aiheet:Hinta": "price"}),
        response(
            1,
            "2026-11-10T11:54:34",
            *WHO,
            nested("Aiheet", option("5", RowText="Hinta"), question_id="q3", kind="scaleMultipleChoice"),
        ),
    ),
    pulled(
        "pull_unanswered_question",
        "A5 a mapped question that nobody answered is blank",
        survey(),
        response(1, "2026-11-10T11:54:34", *WHO),
    ),
    pulled(
        "pull_gone_question",
        "A5 a mapped question that the survey has no more stops the batch",
        survey(),
        response(1, "2026-11-10T11:54:34", *WHO),
        titles=[["q1", "Yhteystiedot"]],
    ),
    pulled(
        "pull_new_question",
        "A5 an answer to a question that nobody mapped stops the batch",
        survey(),
        response(1, "2026-11-10T11:54:34", *WHO, flat("Kengännumero", None, "43", "q9")),
    ),
    pulled(
        "pull_free_date_answer",
        "A5 a free date in an answer stays a text",
        survey(consents=[], answers={"Aiheet": "when"}),
        response(1, "2026-11-10T11:54:34", *WHO, flat("Aiheet", None, "9.11.2026 13:00", "q3")),
    ),
    pulled(
        "pull_uploaded_file",
        "A5 an uploaded file has no answer text; its link is never kept",
        survey(),
        response(
            1, "2026-11-10T11:54:34", *WHO, flat("Aiheet", None, "", "q3", AnswerFile="https://files.example.org/1")
        ),
    ),
    pulled(
        "pull_sample_flat",
        "A5 the vendor's own sample of the flat shape",
        feed(
            "webropol",
            "survey",
            {},
            file=None,
            api={"resource": "s"},
            key=["ResponseId"],
            submitted_at={"column": "ResponseDate"},
            needs_person=False,
            ignored=["ATTACHMENT:Attachment"],
            answers={
                "What is your favourite city in Finland?": "city",
                "What is your favourite...:fruit": "fruit",
                "Enter your details:WEIGHT (KG)": "weight",
                "How likely would you recommend our company? (NPS):Not at all likely - Extremely likely": "nps",
            },
        ),
        *sample("getSurveyAnswers.json"),
        titles=[],
    ),
    pulled(
        "pull_sample_paged",
        "A5 the vendor's own sample of a page of responses",
        feed(
            "webropol",
            "survey",
            {},
            file=None,
            api={"resource": "s"},
            key=["ResponseId"],
            submitted_at={"column": "ResponseDate"},
            needs_person=False,
            answers={"Lahtoaika": "departure", "Tuloajan_tunti": "hour"},
        ),
        *sample("getSurveyResponses.json"),
        titles=[],
    ),
]
