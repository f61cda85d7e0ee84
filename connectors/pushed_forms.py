"""Forms pushed by a webhook, one submission a body: from the bytes as landed to the row that a pull would give.

Drupal Webform's remote post handler sends the submission's own fields with the elements merged on top, form-urlencoded
by default or as JSON, and by default leaves its own fields out
(https://www.drupal.org/docs/contributed-modules/webform/webform-handlers, RemotePostWebformHandler). Typeform's body is
https://www.typeform.com/developers/webhooks/example-payload/. Anything else is a JSON object of the mapping's columns.
"""

import re
from collections.abc import Iterable
from enum import StrEnum
from typing import Any
from urllib.parse import parse_qsl

from connectors.json_documents import WEBFORM_FIELDS, flat_row, parse_json
from connectors.text_encoding import cut_short
from schemas.errors import BatchRefused
from schemas.mappings import Mapping

_MOST_FIELDS = 2000
_DEEPEST = 20
_PART = re.compile(r"\[([^\[\]]*)\]")
# What a site that takes registrations and withdrawals must not leave out of the body.
_SWITCH_ON = (
    "In the form's settings under Emails/Handlers, Remote post, open 'Submission data' and untick 'exclude' for {names}; "
    "or send {names} as custom data."
)


class PushedType(StrEnum):
    """What a pushed body is, as it is landed."""

    DRUPAL_FORM = "application/x-www-form-urlencoded"
    DRUPAL_JSON = "application/vnd.crm-intake.drupal+json"
    TYPEFORM = "application/vnd.crm-intake.typeform+json"


def pushed_row(media_type: str, payload: bytes) -> dict[str, Any]:
    """The submission in a body, nested as a pull gives it. BatchRefused `cut_short` or `unreadable_table`."""
    if media_type == PushedType.DRUPAL_FORM:
        return _webform(_nested(payload))
    document = _document(payload)
    if media_type == PushedType.DRUPAL_JSON:
        return _webform(document)
    return _typeform(document) if media_type == PushedType.TYPEFORM else document


def submission_id_of(row: dict[str, Any], mapping: Mapping) -> str:
    """The id that the engine gave the submission, by the mapping's key.

    BatchRefused `fields_left_out` names what the body lacks of what the mapping identifies and dates submissions by, and
    says how to have it sent.
    """
    flat = flat_row(row)
    dated = [mapping.submitted_at.column, mapping.changed_at.column if mapping.changed_at else None]
    needed = [*mapping.key, *(name for name in dated if name is not None)]
    missing = [name for name in dict.fromkeys(needed) if flat.get(name) in (None, "")]
    if missing:
        names = ", ".join(missing)
        remedy = _SWITCH_ON.format(names=names)
        raise BatchRefused("fields_left_out", f"The body has no {names}.", remedy=remedy)
    return "|".join(str(flat[name]) for name in mapping.key)


def _document(payload: bytes) -> dict[str, Any]:
    try:
        document = parse_json(payload)
    except ValueError:
        raise cut_short("The body is not JSON, or not whole.") from None
    if not isinstance(document, dict):
        raise BatchRefused(
            "unreadable_table", "The body is not an object.", remedy="Send one submission as a JSON object."
        )
    return document


def _nested(payload: bytes) -> dict[str, Any]:
    """A form in PHP's spelling: `name[given]` is a part of `name`, `topics[0]` one of several."""
    try:
        pairs = parse_qsl(payload.decode("utf-8"), keep_blank_values=True, max_num_fields=_MOST_FIELDS, errors="strict")
    except ValueError:
        raise cut_short("The body is not a form, or not whole.") from None
    row: dict[str, Any] = {}
    for name, value in pairs:
        head, _, _ = name.partition("[")
        path = [head, *_PART.findall(name[len(head) :])]
        if len(path) > _DEEPEST:
            remedy = "Send the form's own fields, without custom data that is nested so."
            raise BatchRefused("too_deep", f"A field's name has more than {_DEEPEST} parts.", remedy=remedy)
        _put(row, path, value)
    return {name: _listed(value) for name, value in row.items()}


def _put(row: dict[str, Any], path: list[str], value: str) -> None:
    for part in path[:-1]:
        below = row.setdefault(part, {})
        if not isinstance(below, dict):
            return
        row = below
    row[path[-1] or str(len(row))] = value


def _listed(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    parts = {name: _listed(part) for name, part in value.items()}
    return list(parts.values()) if parts and all(name.isdecimal() for name in parts) else parts


def _webform(body: dict[str, Any]) -> dict[str, Any]:
    """The submission's own fields on top, the elements under `data`, as exports and pulls have them."""
    given = body.get("data")
    elements = {name: value for name, value in body.items() if name not in WEBFORM_FIELDS and name != "data"}
    own = {name: value for name, value in body.items() if name in WEBFORM_FIELDS}
    return {**own, "data": {**elements, **(given if isinstance(given, dict) else {})}}


def _typeform(body: dict[str, Any]) -> dict[str, Any]:
    """The response's own fields, its hidden fields, and its answers by the reference of their question."""
    response = body.get("form_response")
    if not isinstance(response, dict):
        remedy = "Point the webhook of a Typeform form at this address, and leave its body as it is."
        raise BatchRefused("unreadable_table", "The body has no form_response.", remedy=remedy)
    own = {name: response.get(name) for name in ("token", "form_id", "submitted_at", "landed_at")}
    answers = response.get("answers")
    given = dict(_answers(answers if isinstance(answers, list) else []))
    hidden = {"hidden": response["hidden"]} if response.get("hidden") else {}
    return {**own, **hidden, "answers": given}


def _answers(answers: list[Any]) -> Iterable[tuple[str, Any]]:
    for answer in answers:
        question = answer.get("field") if isinstance(answer, dict) else None
        if isinstance(question, dict):
            yield str(question.get("ref") or question.get("id")), _answered(answer)


def _answered(answer: dict[str, Any]) -> Any:
    value = answer.get(str(answer.get("type")))
    if isinstance(value, dict):
        return value.get("labels", value.get("label"))
    return value
