"""A suggested mapping as YAML with comments: what was taken for what and why, and each TODO with what is asked."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from schemas.mappings import FieldMap, Source, SubmissionKind
from schemas.suggestions import TODO, Proposal, Role

_REGISTERING = (SubmissionKind.COURSE_REGISTRATION, SubmissionKind.EVENT_REGISTRATION)
_REST_KINDS = (
    "auth.kind is one of none, bearer, header, basic, oauth2; paging.kind of none, page, offset, cursor, next_url, link;"
    " what else each needs: docs/sources.md"
)
_KINDS = ", ".join(
    str(kind) for kind in SubmissionKind if kind not in (SubmissionKind.MANUAL_ENTRY, SubmissionKind.FINANCE_ENTRY)
)


@dataclass(frozen=True, slots=True)
class Frame:
    """What is known of a feed beside its columns. `delivery`: the key (file, api, table, rest) and its content."""

    source: Source
    feed: str
    title: str
    delivery: tuple[str, dict[str, Any]]
    kind: str = TODO
    owner: str = TODO
    timezone: str = "Europe/Helsinki"


def mapping_text(frame: Frame, proposals: Sequence[Proposal]) -> str:
    """The YAML text. It is no valid mapping until every TODO is filled in, or taken out."""
    by_role: dict[Role, Proposal] = {each.role: each for each in proposals if each.role is not Role.DROPPED}
    parts = [
        *_head(frame),
        *_identity(frame, by_role),
        *_fields(by_role),
        *_occasion(frame, by_role),
        *_contact_me(by_role),
        *_drafts(by_role),
        *_consents([proposal for proposal in proposals if proposal.role is Role.CONSENT]),
        *_ignored(frame, proposals),
    ]
    return "\n".join(parts) + "\n"


def written(value: Any) -> str:
    """A value in YAML's flow style (which JSON is a part of), people's letters as they are."""
    return json.dumps(value, ensure_ascii=False)


def _comment(text: str) -> str:
    return "  # " + " ".join(text.split())


def _head(frame: Frame) -> Iterator[str]:
    yield "# yaml-language-server: $schema=../mapping.schema.json"
    yield "# Suggested from a sample. Every TODO is a decision of yours; the mapping is refused while one is left."
    yield "version: 1"
    yield f"source: {frame.source}"
    yield f"feed: {frame.feed}"
    yield f"title: {written(frame.title)}"
    yield f"kind: {frame.kind}" + (_comment(f"one of {_KINDS}") if frame.kind == TODO else "")
    yield f"owner: {written(frame.owner)}" + (_comment("who mends the form's rows") if frame.owner == TODO else "")
    name, content = frame.delivery
    yield f"{name}: {written(content)}" + (_comment(_REST_KINDS) if name == "rest" else "")


def _identity(frame: Frame, by_role: dict[Role, Proposal]) -> Iterator[str]:
    key = by_role.get(Role.KEY)
    if key is not None and frame.delivery[0] != "table":
        yield f"key: [{written(key.column)}]" + _comment(key.why)
    elif key is None:
        yield "# key: no column tells a submission from all others for ever; its id is a hash of what it says"
    submitted = by_role.get(Role.SUBMITTED_AT) or by_role.get(Role.CHANGED_AT)
    if submitted is None:
        yield f"submitted_at: {{column: {TODO}}}" + _comment(
            "a grant counts only with its time: export the response time"
        )
    else:
        yield f"submitted_at: {_time(submitted, frame.timezone)}" + _comment(submitted.why)
    changed = by_role.get(Role.CHANGED_AT)
    if changed is not None and changed is not submitted:
        yield f"changed_at: {_time(changed, frame.timezone)}" + _comment(changed.why)


def _time(proposal: Proposal, timezone: str) -> str:
    formats = list(proposal.formats or ("iso",))
    return written({"column": proposal.column, "formats": formats, "timezone": timezone})


def _fields(by_role: dict[Role, Proposal]) -> Iterator[str]:
    yield "fields:"
    # Not each field is a role: an age is read only where a human asks for it.
    suggested = {str(role): proposal for role, proposal in by_role.items()}
    named = [suggested[name] for name in FieldMap.model_fields if name in suggested]
    for proposal in named:
        order = {"order": TODO} if proposal.role is Role.FULL_NAME else {}
        asked = "; given_family or family_given?" if order else ""
        yield f"  {proposal.role}: {written({'column': proposal.column, **order})}" + _comment(proposal.why + asked)
    if Role.EMAIL not in by_role:
        yield f"  email: {{column: {TODO}}}" + _comment(
            "whose address is it? Or set needs_person: false and take this out"
        )


def _occasion(frame: Frame, by_role: dict[Role, Proposal]) -> Iterator[str]:
    registers = frame.kind in _REGISTERING or Role.OCCASION_ID in by_role or Role.STARTS_AT in by_role
    if not registers:
        return
    yield "occasion:"
    for name, role in (("id", Role.OCCASION_ID), ("name", Role.OCCASION_NAME)):
        proposal = by_role.get(role) or by_role.get(Role.OCCASION_NAME)
        ref = {"column": proposal.column} if proposal else {"constant": TODO}
        yield f"  {name}: {written(ref)}" + _comment(proposal.why if proposal else "the same for all rows of this form")
    for name, role in (("starts_at", Role.STARTS_AT), ("ends_at", Role.ENDS_AT)):
        proposal = by_role.get(role)
        time = _time(proposal, frame.timezone) if proposal else written({"constant": TODO})
        yield f"  {name}: {time}" + _comment(
            proposal.why if proposal else "YYYY-MM-DDThh:mm:ss+02:00; rules when data goes"
        )
    status = by_role.get(Role.STATUS)
    if status is not None:
        values = written({"column": status.column, "values": dict.fromkeys(status.values or (TODO,), TODO)})
        yield "registration:"
        yield f"  status: {values}" + _comment("each to active, waitlisted, cancelled or deleted")


def _contact_me(by_role: dict[Role, Proposal]) -> Iterator[str]:
    asked = by_role.get(Role.CONTACT_ME)
    if asked is not None:
        values = dict.fromkeys(asked.values or (TODO,), TODO)
        yield f"wants_contact: {written({'column': asked.column, 'values': values})}" + _comment(
            f"{asked.why}; each answer to yes or no"
        )


def _drafts(by_role: dict[Role, Proposal]) -> Iterator[str]:
    draft = by_role.get(Role.DRAFTS)
    if draft is not None:
        values = {"1": "draft", "Yes": "draft", "0": "final", "No": "final"}
        yield f"drafts: {written({'column': draft.column, 'values': values})}" + _comment(
            "what nobody has submitted yet"
        )


def _consents(asked: Sequence[Proposal]) -> Iterator[str]:
    if not asked:
        yield "# consents: no question was found that may be about a purpose"
        return
    yield "# Questions that may be about a purpose. For each: which purpose, which answers mean yes and no, the very wording"
    yield "# and the version of the notice that was shown; or take it out of here and name it under ignored."
    yield "consents:"
    for proposal in asked:
        seen = (
            f"answers seen: {', '.join(proposal.values)}" if proposal.values else "its answers are people's own words"
        )
        yield f"  - column: {written(proposal.column)}" + _comment(seen)
        yield f"    purpose: {TODO}" + _comment("a name under purposes in config/intake.yaml, such as marketing")
        yield f"    polarity: {TODO}" + _comment("consent, or prohibition where a yes forbids")
        yield f"    grants: [{TODO}]"
        yield f"    refuses: [{TODO}]" + _comment("or [] where the form has no answer that means no")
        yield f"    wording: {{text: {TODO}, language: {TODO}, version: {TODO}}}" + _comment(proposal.text)
        yield f"    notice_version: {TODO}" + _comment("a name under notices in config/intake.yaml")


def _ignored(frame: Frame, proposals: Sequence[Proposal]) -> Iterator[str]:
    used = {Role.OCCASION_ID, Role.OCCASION_NAME, Role.STARTS_AT, Role.ENDS_AT, Role.STATUS}
    roles = {proposal.role for proposal in proposals}
    registers = frame.kind in _REGISTERING or Role.OCCASION_ID in roles or Role.STARTS_AT in roles
    dropped = [p for p in proposals if p.role is Role.DROPPED or (p.role in used and not registers)]
    yield "# Dropped before anything is read:" if dropped else "ignored: []"
    if dropped:
        yield "ignored:"
    for proposal in dropped:
        yield f"  - {written(proposal.column)}" + _comment(proposal.why)
