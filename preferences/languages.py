"""The languages of the pages and mails: texts as data, one file a language, the same keys in each."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml

LANGUAGES = ("fi", "sv", "en")
_FOLDER = Path(__file__).parent / "texts"

Texts = Mapping[str, Any]


@cache
def texts_of(language: str) -> Texts:
    """The texts of a language of LANGUAGES."""
    loaded: Texts = yaml.safe_load((_FOLDER / f"{language}.yaml").read_text("utf-8"))
    return loaded


def chosen_language(asked: str | None, accepted: str | None, *, default: str = LANGUAGES[0]) -> str:
    """What the link asks for, else the first that the browser accepts and we have (RFC 9110, 12.5.4), else the default."""
    if asked in LANGUAGES:
        return str(asked)
    ranked = sorted((_weighted(part) for part in (accepted or "")[:200].split(",")), key=lambda pair: -pair[1])
    return next((tag for tag, weight in ranked if weight > 0 and tag in LANGUAGES), default)


def _weighted(part: str) -> tuple[str, float]:
    tag, _, weight = part.strip().partition(";q=")
    try:
        return tag.strip().lower()[:2], float(weight or 1)
    except ValueError:
        return "", 0.0
