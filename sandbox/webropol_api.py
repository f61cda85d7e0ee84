"""Stand-in of Webropol's REST API v1: a password grant, surveys, their questions, and pages of responses.

Shapes after https://github.com/rantalainen/webropol-api-client (types and README). One survey answers in the newer,
nested shape, the other in the older, flat one. What the vendor's clients complained of is kept: dates without a zone,
null respondents, the misspelt `AttahedTextFieldValue`, and filters that go by the response's date alone.
"""

from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any
from urllib.parse import parse_qs
from uuid import NAMESPACE_URL, uuid5

import orjson
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.organisation import Organisation
from sandbox.organisation.calendar import HELSINKI
from sandbox.organisation.feeds import FEEDS
from sandbox.organisation.rows_of_courses import Row
from sandbox.organisation.rows_of_webropol import RESPONSE_COLUMNS
from sandbox.organisation.truth import Submission

SURVEY_FEEDS = ("webropol_survey_feedback", "webropol_registrations_api")
FLAT_FEED = "webropol_registrations_api"
ITEMS_PER_PAGE = 500
TOKEN_LIFETIME_S = 14_399

_Shape = Callable[[str, str, str], dict[str, Any]]
_NO_ID = "00000000-0000-0000-0000-000000000000"


class WebropolStandIn:
    """The service as of the end of the day `through`; a token lives until `expire_tokens`, for it reads no clock."""

    def __init__(self, organisation: Organisation, *, through: date, username: str, password: str) -> None:
        self.through = through
        self._organisation = organisation
        self._account = (username, password)
        self._tokens: set[str] = set()
        self._issued = 0

    def app(self) -> Starlette:
        """The ASGI application."""
        base = "/api/v1/surveys"
        return Starlette(
            routes=[
                Route("/Token", self.token, methods=["POST"]),
                Route(base, self.surveys),
                Route(base + "/{survey_id}/questions", self.questions),
                Route(base + "/{survey_id}/responses", self.responses, methods=["GET", "POST"]),
            ]
        )

    def expire_tokens(self) -> None:
        """Every token issued so far is refused from now on."""
        self._tokens.clear()

    async def token(self, request: Request) -> Response:
        form = {name: values[0] for name, values in parse_qs((await request.body()).decode()).items()}
        given = (form.get("username"), form.get("password"))
        if form.get("grant_type") != "password" or given != self._account:
            return JSONResponse({"error": "invalid_grant", "error_description": "Not let in."}, status_code=400)
        self._issued += 1
        token = str(uuid5(NAMESPACE_URL, f"{self._account}{self._issued}"))
        self._tokens.add(token)
        answer = {"access_token": token, "token_type": "bearer", "expires_in": TOKEN_LIFETIME_S}
        return JSONResponse(answer | {"refresh_token": token[::-1], "userName": self._account[0]})

    async def surveys(self, request: Request) -> Response:
        if not self._is_let_in(request):
            return _not_let_in()
        return JSONResponse([_survey(feed) for feed in SURVEY_FEEDS])

    async def questions(self, request: Request) -> Response:
        feed = _feed_of(request.path_params["survey_id"])
        if not self._is_let_in(request):
            return _not_let_in()
        if feed is None:
            return _not_found()
        listed = [
            {"QuestionId": _question_id(feed, text), "QuestionText": text, "QuestionOrderNumber": number}
            for number, text in enumerate(_questions(feed), start=1)
        ]
        return JSONResponse({"Questions": listed})

    async def responses(self, request: Request) -> Response:
        feed = _feed_of(request.path_params["survey_id"])
        if not self._is_let_in(request):
            return _not_let_in()
        if feed is None:
            return _not_found()
        filters = dict(request.query_params) | orjson.loads(await request.body() or b"{}")
        try:
            found = [s for s in self._organisation.as_of(feed, self.through) if _passes(s, filters)]
            page = int(filters.get("paging", 1))
        except ValueError:
            return JSONResponse({"Message": "The request is invalid."}, status_code=400)
        return JSONResponse(self._page(feed, found, max(page, 1)))

    def _page(self, feed: str, found: list[Submission], number: int) -> dict[str, Any]:
        rows = found[(number - 1) * ITEMS_PER_PAGE : number * ITEMS_PER_PAGE]
        shape = _flat_answers if feed == FLAT_FEED else _nested_answers
        answers = [_response(feed, self._organisation.row(row), shape) for row in rows]
        return {
            "SurveyId": FEEDS[feed].resource,
            "Paging": _paging(len(found), number, len(rows)),
            "SurveyAnswers": answers,
        }

    def _is_let_in(self, request: Request) -> bool:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        return scheme.lower() == "bearer" and token in self._tokens


def _paging(total: int, number: int, count: int) -> dict[str, object]:
    pages = -(-total // ITEMS_PER_PAGE)
    return {
        "ItemsPerPage": ITEMS_PER_PAGE,
        "TotalCount": total,
        "TotalPages": pages,
        "CurrentPage": number,
        "IsLastItemFetched": number >= pages,
        "ItemCount": count,
    }


def _response(feed: str, row: Row, shape: _Shape) -> dict[str, Any]:
    """One response: its own fields, null where blank, and its answers in `shape`."""
    head = {name: row[name] or None for name in RESPONSE_COLUMNS if name in row}
    answers = [shape(feed, title, str(text)) for title, text in row.items() if title not in RESPONSE_COLUMNS]
    return {**head, "RespondentAnswers": answers}


def _nested_answers(feed: str, title: str, text: str) -> dict[str, Any]:
    question, _, label = title.partition(":")
    option = {
        "OptionAnswer": text,
        "QuestionOptionId": None,
        "OptionId": _NO_ID,
        "AnswerOptionId": _NO_ID,
        "AttahedTextFieldValue": "",
        "RowText": None,
        "AnswerFile": None,
    }
    return {
        "Keywords": None,
        "QuestionId": _question_id(feed, question),
        "QuestionTypeId": _NO_ID,
        "QuestionTypeName": "questionType_textField" if label else "questionType_selection",
        "QuestionTitle": question,
        "Label": label or None,
        "QuestionAnswers": [option],
    }


def _flat_answers(feed: str, title: str, text: str) -> dict[str, Any]:
    question, _, label = title.partition(":")
    return {
        "QuestionId": _question_id(feed, question),
        "Question": question,
        "QuestionOptionId": _NO_ID,
        "AnswerOptionId": _NO_ID,
        "Label": label or None,
        "Answer": text,
        "AnswerKeywords": "",
        "AnswerFile": None,
        "AttachedTextFieldValue": None,
    }


def _questions(feed: str) -> list[str]:
    texts = (title.partition(":")[0] for title in FEEDS[feed].columns if title not in RESPONSE_COLUMNS)
    return list(dict.fromkeys(texts))


def _question_id(feed: str, text: str) -> str:
    return str(uuid5(NAMESPACE_URL, f"{FEEDS[feed].resource}/{text}"))


def _survey(feed: str) -> dict[str, object]:
    return {
        "SurveyId": FEEDS[feed].resource,
        "SurveyTitle": feed,
        "Status": "Open",
        "ParentId": _NO_ID,
        "ReadAccess": True,
        "WriteAccess": False,
        "isPublished": True,
        "CreationDate": "2026-01-12T09:14:05.31",
    }


def _feed_of(survey_id: str) -> str | None:
    return next((feed for feed in SURVEY_FEEDS if FEEDS[feed].resource == survey_id), None)


def _passes(submission: Submission, filters: dict[str, Any]) -> bool:
    start, end = filters.get("StartDate"), filters.get("EndDate")
    return (not start or submission.at >= _instant(start)) and (not end or submission.at <= _instant(end))


def _instant(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=HELSINKI)).astimezone(UTC)


def _not_let_in() -> Response:
    return JSONResponse({"Message": "Authorization has been denied for this request."}, status_code=401)


def _not_found() -> Response:
    return JSONResponse({"Message": "The survey was not found."}, status_code=404)
