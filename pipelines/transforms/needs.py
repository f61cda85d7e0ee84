"""Only what is needed: which purposes each column of a feed serves, and the questions that serve none (GDPR 5(1)(c)).

A purpose takes a datum where the policy lists it under the purpose's `personal_data`, and only if the feed can begin that
purpose: by an answer, by registering, by wanting an answer. Columns that tell submissions apart or date them are no
questions.
"""

from collections.abc import Iterable
from typing import Any

from schemas.arrangements import UNLISTED
from schemas.mappings import Mapping, SubmissionKind
from schemas.policy import Begin, Policy

# What the policy calls each field that a mapping may take.
DATA = {
    "email": "email",
    "given_name": "name",
    "family_name": "name",
    "full_name": "name",
    "phone": "phone",
    "organisation": "organisation",
    "business_id": "organisation",
    "country": "place",
    "postal_code": "place",
    "city": "place",
    "message": "message",
}


def purposes_by_column(mapping: Mapping, policy: Policy) -> dict[str, tuple[str, ...]]:
    """By column of a question the purposes that it serves, sorted; an empty tuple where it serves none."""
    begun = _begun(mapping, policy)
    serves: dict[str, set[str]] = {}
    for name, datum in DATA.items():
        _serve(serves, _columns(getattr(mapping.fields, name)), _taking(datum, begun, policy))
    for question in mapping.answers:
        _serve(serves, [question], _taking("answers", begun, policy))
    for consent in mapping.consents:
        _serve(serves, _columns(consent.model_dump()), [consent.purpose])
    registering = [*_taking("course", begun, policy), *_taking("participation", begun, policy)]
    for part in (mapping.occasion, mapping.registration):
        _serve(serves, _columns(part), registering)
    _serve(serves, _columns(mapping.wants_contact), _with_begin(policy, Begin.ENQUIRY))
    if mapping.spoken:
        _serve(serves, mapping.spoken.model_dump(exclude={"decisions", "said_at"}).values(), begun)
    return {column: tuple(sorted(purposes)) for column, purposes in _of_lists(mapping, serves).items()}


def without_purpose(mapping: Mapping, policy: Policy) -> list[str]:
    """The questions that are read and serve no purpose, sorted: ask them no more, or name them under ignored."""
    return sorted(column for column, purposes in purposes_by_column(mapping, policy).items() if not purposes)


def _begun(mapping: Mapping, policy: Policy) -> list[str]:
    """The purposes that a submission of the feed can begin or needs to be carried out."""
    asked = [consent.purpose for consent in mapping.consents]
    begins: list[Begin] = []
    if mapping.kind is SubmissionKind.ENQUIRY or mapping.wants_contact:
        begins.append(Begin.ENQUIRY)
    if mapping.occasion and mapping.kind is SubmissionKind.COURSE_REGISTRATION:
        begins.append(Begin.COURSE_REGISTRATION)
    if mapping.occasion and mapping.kind is not SubmissionKind.COURSE_REGISTRATION:
        begins.append(Begin.EVENT_REGISTRATION)
    if mapping.occasion and mapping.occasion.notice_shown:
        begins += [Begin.SALE_WITH_NOTICE, Begin.REGISTRATION_WITH_NOTICE]
    if mapping.spoken:
        begins.append(Begin.GRANT)
    return [*asked, *(name for begin in begins for name in _with_begin(policy, begin))]


def _with_begin(policy: Policy, begin: Begin) -> list[str]:
    return [name for name, purpose in policy.purposes.items() if purpose.begins is begin]


def _taking(datum: str, begun: Iterable[str], policy: Policy) -> list[str]:
    return [name for name in begun if name in policy.purposes and datum in policy.purposes[name].personal_data]


def _serve(serves: dict[str, set[str]], columns: Iterable[Any], purposes: Iterable[str]) -> None:
    for column in columns:
        if isinstance(column, str):
            serves.setdefault(column, set()).update(purposes)


def _columns(part: Any) -> list[str]:
    """Every column that a part of a mapping takes a value from."""
    node = part.model_dump() if hasattr(part, "model_dump") else part
    if not isinstance(node, dict):
        return []
    here = [node["column"]] if isinstance(node.get("column"), str) else []
    return here + [column for child in node.values() for column in _columns(child)]


def _of_lists(mapping: Mapping, serves: dict[str, set[str]]) -> dict[str, set[str]]:
    """With what is delivered in the place of what is derived from it: a cell of options, a block's or a list's column."""
    arrangement, told = mapping.arrangement, dict(serves)
    for listed in arrangement.options:
        parts = [told.pop(column, set()) for column in listed.columns() if not column.endswith(f":{UNLISTED}")]
        told.setdefault(listed.column, set()).update(*parts)
    for block in arrangement.blocks:
        for name, title in block.columns.items():
            told.setdefault(title, set()).update(serves.get(name, set()))
    if arrangement.items:
        told.setdefault(arrangement.items.column, set())
        told[arrangement.items.column].update(*(told.pop(title, set()) for title in arrangement.items.titles()))
    return {column: purposes for column, purposes in told.items() if column not in arrangement.own_names()}
