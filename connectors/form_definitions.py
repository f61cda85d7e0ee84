"""Definitions of forms: the configuration of a Drupal webform, read as the questions that its submissions will answer.

A configuration export holds `elements`, YAML within YAML: a tree of elements whose properties begin with `#`
(https://www.drupal.org/docs/contributed-modules/webform). Containers and markup are no questions.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from html import unescape
from typing import Any

from connectors.yaml_documents import read_yaml
from schemas.errors import BatchRefused
from schemas.suggestions import Question

_NO_QUESTION = frozenset(
    {
        *("webform_markup", "processed_text", "webform_actions", "captcha", "container", "fieldset", "details", "item"),
        *("webform_flexbox", "webform_section", "webform_wizard_page", "webform_card", "label", "webform_message"),
        *("webform_horizontal_rule", "item_group"),
    }
)
# What the composite `webform_contact` asks (its own element definition).
_CONTACT = (
    "name",
    "company",
    "email",
    "phone",
    "address",
    "address_2",
    "city",
    "state_province",
    "postal_code",
    "country",
)
# What the module itself keeps of each submission and a mapping reads; its times are Unix seconds.
_OWN = (
    Question("completed", "Completed", "unix"),
    Question("changed", "Changed", "unix"),
    Question("uuid", "Submission UUID"),
    Question("in_draft", "Is draft"),
)
_TAGS = re.compile(r"<[^>]*>")
_DEEPEST = 20


@dataclass(frozen=True, slots=True)
class FormDefinition:
    """A form: its id in its own system, its title and language, and its questions in order."""

    form_id: str
    title: str
    language: str
    questions: tuple[Question, ...]


def read_definition(payload: bytes) -> FormDefinition:
    """The form of a webform configuration file. BatchRefused (`unreadable_definition`) where it is none."""
    try:
        document: Any = read_yaml(payload.decode())[1]
        elements: Any = read_yaml(document["elements"])[1]
        questions = [*_OWN]
        questions += [question for key, element in elements.items() for question in _questions(str(key), element, 1)]
        title, language = str(document.get("title") or document["id"]), str(document.get("langcode") or "")
        return FormDefinition(str(document["id"]), title, language, tuple(questions))
    except (KeyError, TypeError, ValueError, AttributeError):
        message = "The file is not a definition of a webform: it has no id or no elements."
        remedy = "Export webform.webform.<id>.yml from the site's configuration."
        raise BatchRefused("unreadable_definition", message, remedy=remedy) from None


def _questions(key: str, element: Any, depth: int) -> Iterator[Question]:
    if key.startswith("#") or not isinstance(element, dict) or depth > _DEEPEST:
        return
    kind = str(element.get("#type", ""))
    if kind == "webform_contact":
        yield from (Question(f"data.{key}.{part}", part, "textfield") for part in _CONTACT)
    elif kind and kind not in _NO_QUESTION:
        yield Question(f"data.{key}", _plain(element.get("#title") or key), kind, tuple(_options(element)))
    for name, child in element.items():
        yield from _questions(str(name), child, depth + 1)


def _options(element: dict[str, Any]) -> Iterator[str]:
    options = element.get("#options")
    if isinstance(options, dict):
        yield from (_plain(key) for key in options)
    elif options == "yes_no":
        yield from ("Yes", "No")
    elif element.get("#type") in ("checkbox", "webform_terms_of_service"):
        yield from ("1", "0")


def _plain(text: Any) -> str:
    return " ".join(unescape(_TAGS.sub(" ", str(text))).split())
