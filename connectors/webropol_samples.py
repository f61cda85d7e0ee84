"""Saved answers of Webropol's API, read by hand: the responses of a survey, and the questions that it has.

The list of questions is an answer of its own (`surveys/ID/questions`). Without it a sample shows only what was
answered: what is known of the survey from before stands for the rest.
"""

from collections.abc import Sequence
from typing import Any

from connectors.json_documents import parse_json
from connectors.webropol_answers import answered_questions, has_identity, questions_of
from schemas.errors import BatchRefused

Questions = list[list[str | None]]


def sample_responses(payload: bytes, survey: str) -> list[dict[str, Any]]:
    """The responses in an answer of `surveys/ID/responses`, or in a list of them. Raises BatchRefused (`unreadable_table`)."""
    address = f"surveys/{survey}/responses"
    document = _parsed(payload, address)
    found = document.get("SurveyAnswers") if isinstance(document, dict) else document
    if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
        raise _unreadable("it has no list of responses (SurveyAnswers)", address)
    if not all(map(has_identity, found)):
        raise _unreadable("its responses have no ids, as those of a single question", address)
    return found


def sample_questions(payload: bytes, survey: str) -> Questions:
    """The questions in an answer of `surveys/ID/questions`. Raises BatchRefused (`unreadable_table`)."""
    address = f"surveys/{survey}/questions"
    questions = questions_of(_parsed(payload, address))
    if not questions:
        raise _unreadable("it has no list of questions (Questions)", address)
    return questions


def shown_questions(responses: Sequence[dict[str, Any]], known: Questions) -> Questions:
    """The known questions with the titles and ids that the responses show, and after them those that nobody knew.

    A copy of the survey has ids of its own: a question whose id nobody answered is the one of its title.
    """
    shown = {str(question_id): title for question_id, title in answered_questions(responses)}
    ids = {question_id for question_id, _ in known}
    strangers = {title: question_id for question_id, title in shown.items() if question_id not in ids}
    before = []
    for question_id, title in known:
        found = question_id if question_id in shown else strangers.pop(title, None)
        before.append([question_id, title] if found is None else [found, shown.pop(found)])
    return before + [[question_id, title] for question_id, title in shown.items()]


def _parsed(payload: bytes, address: str) -> Any:
    try:
        return parse_json(payload)
    except ValueError:
        raise _unreadable("it is not a JSON document", address) from None


def _unreadable(what: str, address: str) -> BatchRefused:
    remedy = f"Save the API's answer about {address} as it is."
    return BatchRefused("unreadable_table", f"The sample cannot be read: {what}.", remedy=remedy)
