"""What the Webropol API answers, as a raw frame: one row per response, one column per question or option.

Two shapes of an answer are read: the flat one of the vendor's README (Question, Label, Answer) and the nested one of
the type definitions (QuestionTitle, QuestionAnswers). A title depends on its answer alone and on the survey's list of
questions, never on what else the batch holds, so that the same question has the same title every day.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import pandas as pd

from connectors.json_documents import frame_of_rows, named_columns
from schemas.errors import BatchRefused
from schemas.mappings import Mapping

RESPONSE_ID = "ResponseId"
RESPONSE_DATE = "ResponseDate"
RESPONSE_FIELDS = (RESPONSE_ID, RESPONSE_DATE, "ResponseLanguageId", "RespondentId", "RespondentEmail")
"""The API's own fields; each is a column where the mapping names it."""

NO_ID = "00000000-0000-0000-0000-000000000000"
_MULTIPLE = "questionType_multipleChoice"


def responses_frame(responses: Sequence[dict[str, Any]], mapping: Mapping, *, titles: Sequence[Any]) -> pd.DataFrame:
    """The raw frame. `titles` are the survey's questions as [QuestionId, QuestionText], in their order.

    Columns: `Question`, or `Question:Label` where the answer has a row, field or option of its own;
    `...:text` for the text field of an option; ` #2` after the title of the second question with the same text.
    A column that is read of a question that nobody answered is wholly blank.
    """
    suffixes = _suffixes(titles)
    fields = [name for name in RESPONSE_FIELDS if name in named_columns(mapping)]
    rows = [{**_own_fields(response, fields), **_answers(response, suffixes)} for response in responses]
    return frame_of_rows(rows, _unanswered(mapping, [text for _, text in titles]))


def questions_of(answer: Any) -> list[list[str | None]]:
    """The survey's questions as [QuestionId, QuestionText], in their order, out of the API's answer about them."""
    listed = _objects(answer.get("Questions")) if isinstance(answer, dict) else []
    questions = sorted(listed, key=lambda each: each.get("QuestionOrderNumber") or 0)
    return [[str(each.get("QuestionId")), str(each.get("QuestionText") or "")] for each in questions]


def answered_questions(responses: Iterable[dict[str, Any]]) -> list[list[str | None]]:
    """The questions that responses answer, as `questions_of`, in the order of first sight."""
    seen: dict[str, str] = {}
    for response in responses:
        for answer in _objects(response.get("RespondentAnswers")):
            seen[str(answer.get("QuestionId"))] = str(answer.get("Question") or answer.get("QuestionTitle") or "")
    return [[question_id, text] for question_id, text in seen.items()]


def has_identity(response: dict[str, Any]) -> bool:
    """Whether the response has an id of its own, the one key there is: those of a single question have none."""
    return str(response.get(RESPONSE_ID) or NO_ID) != NO_ID


def _own_fields(response: dict[str, Any], fields: Iterable[str]) -> dict[str, Any]:
    return {name: None if response.get(name) == NO_ID else response.get(name) for name in fields}


def _answers(response: dict[str, Any], suffixes: dict[str, str]) -> dict[str, str]:
    cells: dict[str, str] = {}
    for answer in _objects(response.get("RespondentAnswers")):
        suffix = suffixes.get(str(answer.get("QuestionId")), "")
        for title, text in _cells(answer):
            name = title + suffix
            cells[name] = f"{cells[name]};{text}" if name in cells else text
    return cells


def _cells(answer: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Titles and texts of one answer. The links of uploaded files are left out: they open to whoever has them."""
    if "QuestionAnswers" not in answer:
        title = _joined(answer.get("Question"), answer.get("Label"))
        yield from _texts(title, answer.get("Answer"), answer.get("AttachedTextFieldValue"))
        return
    is_multiple = answer.get("QuestionTypeName") == _MULTIPLE
    for option in _objects(answer["QuestionAnswers"]):
        part = option.get("RowText") or answer.get("Label") or (option.get("OptionAnswer") if is_multiple else None)
        title = _joined(answer.get("QuestionTitle"), part)
        attached = option.get("AttahedTextFieldValue") or option.get("AttachedTextFieldValue")
        yield from _texts(title, option.get("OptionAnswer"), attached)


def _objects(listed: Any) -> list[dict[str, Any]]:
    """A list of objects, or nothing at all. Raises BatchRefused (`unreadable_table`) for anything else."""
    found = [] if listed is None else listed
    if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
        message = "The responses are of none of the two shapes that the service is known to answer in."
        raise BatchRefused("unreadable_table", message, remedy="Report the new shape; the batch can be replayed later.")
    return found


def _texts(title: str, text: Any, attached: Any) -> Iterator[tuple[str, str]]:
    if text not in (None, ""):
        yield title, str(text)
    if attached not in (None, ""):
        yield f"{title}:text", str(attached)


def _joined(question: Any, label: Any) -> str:
    return f"{question or ''}:{label}" if label else str(question or "")


def _suffixes(titles: Sequence[Any]) -> dict[str, str]:
    """By question id: ` #2`, ` #3` for the questions whose text an earlier one has too."""
    seen: dict[str, int] = {}
    suffixes = {}
    for question_id, text in titles:
        seen[text] = seen.get(text, 0) + 1
        suffixes[str(question_id)] = f" #{seen[text]}" if seen[text] > 1 else ""
    return suffixes


def _unanswered(mapping: Mapping, texts: Sequence[str]) -> list[str]:
    """The columns read that belong to a question of the survey, by its text or by `text:`."""
    known = tuple(texts)
    lead = tuple(f"{text}:" for text in texts)
    return [
        column
        for column in sorted(mapping.read_columns())
        if column.partition(" #")[0] in known or (lead and column.startswith(lead))
    ]
