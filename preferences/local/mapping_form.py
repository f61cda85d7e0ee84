"""From the mapping page's form to a mapping: what the human chose for each column, and decided about each purpose."""

from collections.abc import Mapping as Fields
from dataclasses import replace
from typing import Any

import yaml

from pipelines.transforms.suggesting.yaml_text import Frame, mapping_text
from schemas.suggestions import TODO, Proposal, Role

HEADER = "# yaml-language-server: $schema=../mapping.schema.json\n# Made on the mapping page.\n"
ANSWER = "answer"
_TEXTS = ("purpose", "polarity", "notice_version")


def with_choices(proposals: list[Proposal], form: Fields[str, str]) -> list[Proposal]:
    """The proposals with the roles that the form chose; a column that the form does not speak of stays as proposed."""
    known = {str(role) for role in Role}
    chosen = []
    for number, proposal in enumerate(proposals):
        role = form.get(f"role_{number}", str(proposal.role))
        chosen.append(replace(proposal, role=Role(role) if role in known else Role.DROPPED))
    return chosen


def document_of(frame: Frame, proposals: list[Proposal], form: Fields[str, str]) -> dict[str, Any]:
    """The mapping's document; what the form left open is TODO in it."""
    chosen = with_choices(proposals, form)
    frame = replace(
        frame, kind=form.get("kind") or TODO, owner=form.get("owner") or TODO, title=form.get("title") or ""
    )
    document: dict[str, Any] = yaml.safe_load(mapping_text(frame, chosen))
    answers = {p.column: p.text or p.column for n, p in enumerate(proposals) if form.get(f"role_{n}") == ANSWER}
    document["ignored"] = [column for column in document.get("ignored") or [] if column not in answers]
    if answers:
        document["answers"] = answers
    if "full_name" in document["fields"] and form.get("name_order"):
        document["fields"]["full_name"]["order"] = form["name_order"]
    _decide_occasion(document, form)
    _decide_consents(document, {p.column: n for n, p in enumerate(proposals)}, form)
    return document


def text_of(document: dict[str, Any]) -> str:
    """The document as the YAML file that is saved."""
    return HEADER + yaml.safe_dump(document, allow_unicode=True, sort_keys=False, width=110)


def _decide_occasion(document: dict[str, Any], form: Fields[str, str]) -> None:
    for name, ref in (document.get("occasion") or {}).items():
        if "constant" in ref and form.get(f"occasion_{name}"):
            ref["constant"] = form[f"occasion_{name}"]
    status = (document.get("registration") or {}).get("status") or {}
    for part, prefix in ((status, "status"), (document.get("wants_contact") or {}, "contact")):
        for number, answer in enumerate(part.get("values") or {}):
            part["values"][answer] = form.get(f"{prefix}_{number}") or TODO


def _decide_consents(document: dict[str, Any], numbers: dict[str, int], form: Fields[str, str]) -> None:
    for consent in document.get("consents") or []:
        number = numbers[consent["column"]]
        for name in _TEXTS:
            consent[name] = form.get(f"{name}_{number}") or TODO
        for name in ("grants", "refuses", "silent"):
            lines = (form.get(f"{name}_{number}") or "").splitlines()
            consent[name] = [line.strip() for line in lines if line.strip()]
        consent["grants"] = consent["grants"] or [TODO]
        consent["topic"] = form.get(f"topic_{number}") or None
        wording = {part: form.get(f"wording_{part}_{number}") or TODO for part in ("text", "language", "version")}
        consent["wording"] = wording
        if consent["polarity"] == "prohibition":
            consent["wording"] = wording if TODO not in wording.values() else None
            consent["notice_version"] = form.get(f"notice_version_{number}") or None
