"""From columns to proposals: what each is taken for and why. Nothing about consent is decided; what is not known is dropped."""

from collections.abc import Iterable, Sequence

import pandas as pd

from pipelines.transforms.suggesting.known_titles import (
    is_about_consent,
    is_about_contact,
    is_about_notice,
    is_special,
    known_role,
)
from pipelines.transforms.suggesting.value_shapes import ValueShape, value_shape
from schemas.suggestions import Proposal, Question, Role

_TIMES = frozenset({Role.SUBMITTED_AT, Role.CHANGED_AT, Role.STARTS_AT, Role.ENDS_AT})
_ONE_ONLY = frozenset(Role) - {Role.CONSENT, Role.DROPPED}
_TICKS = frozenset({"checkbox", "webform_terms_of_service"})
_FREE_TEXT = frozenset({"textarea", "text_format"})


def propose(frame: pd.DataFrame, questions: Sequence[Question] = ()) -> list[Proposal]:
    """A proposal for each column of a raw frame, or of a form's definition, in their order."""
    asked = {question.column: question for question in questions}
    columns = list(asked) or [str(title) for title in frame.columns]
    found = [_proposal(asked.get(column) or Question(column, column), frame) for column in columns]
    return list(_each_role_once(found))


def _proposal(question: Question, frame: pd.DataFrame) -> Proposal:
    role = known_role(question.column) or known_role(question.text)
    has_values = question.column in frame.columns
    values = frame[question.column] if has_values else pd.Series([], dtype="str")
    shape = value_shape(values, may_be_number=role in _TIMES)
    barred = _barred(question, shape, role)
    if barred is not None:
        return barred
    if role is not None:
        times = shape.times or ((question.type,) if question.type == "unix" else ())
        why = _fits(role, shape, has_values)
        return Proposal(question.column, role, why, question.text, shape.options, times)
    return _by_values(question, shape)


def _barred(question: Question, shape: ValueShape, role: Role | None) -> Proposal | None:
    """What is never taken over by itself: special data, notices, and anything that may be about a purpose."""
    words, options = f"{question.column} {question.text}", question.options or shape.options
    if is_special(words) or (shape.is_special and role is None):
        return Proposal(
            question.column, Role.DROPPED, "special, payment or technical data: not for this", question.text
        )
    if role is not None:
        return None
    if question.type in _FREE_TEXT:
        return Proposal(
            question.column, Role.DROPPED, "free text that no purpose needs, as far as can be told", question.text
        )
    if is_about_contact(words):
        return Proposal(question.column, Role.CONTACT_ME, "asks to be contacted: no marketing", question.text, options)
    if is_about_notice(words) and not is_about_consent(words):
        return Proposal(
            question.column, Role.DROPPED, "says that something was read or vouched for: no consent", question.text
        )
    is_tick = question.type in _TICKS or (len(options) == 1 and not question.type)
    if is_about_consent(words) or is_about_consent(" ".join(options)) or is_tick:
        return Proposal(
            question.column, Role.CONSENT, "may be about a purpose: only a human may say", question.text, options
        )
    return None


def _fits(role: Role, shape: ValueShape, has_values: bool) -> str:
    if not has_values or not shape.count:
        return "by its title; no value to look at"
    looks = {Role.EMAIL: shape.is_email, Role.PHONE: shape.is_phone, Role.POSTAL_CODE: shape.is_postal_code}
    if role in _TIMES:
        return "by its title" + (
            "; its values are read so" if shape.times else "; CHECK: no known format reads its values"
        )
    if role in looks:
        return "by its title" + (" and values" if looks[role] else "; CHECK: its values do not look so")
    return "by its title"


def _by_values(question: Question, shape: ValueShape) -> Proposal:
    if question.type == "email" or shape.is_email:
        return Proposal(question.column, Role.EMAIL, "by its values: CHECK whose address it is", question.text)
    if question.type == "tel":
        return Proposal(question.column, Role.PHONE, "by its type: CHECK whose number it is", question.text)
    if shape.times and shape.times[0] not in ("unix", "excel_serial"):
        return Proposal(question.column, Role.DROPPED, "a time of unknown meaning", question.text)
    why = "not known: dropped; if the event needs it, move it to answers"
    return Proposal(question.column, Role.DROPPED, why, question.text)


def _each_role_once(found: Iterable[Proposal]) -> Iterable[Proposal]:
    """The first of two columns with one role keeps it: which person the second belongs to, nobody knows."""
    taken: set[Role] = set()
    for proposal in found:
        if proposal.role in taken and proposal.role in _ONE_ONLY:
            why = f"a second {proposal.role}: whose? Map it by hand, or leave it dropped"
            yield Proposal(proposal.column, Role.DROPPED, why, proposal.text)
        else:
            taken.add(proposal.role)
            yield proposal
