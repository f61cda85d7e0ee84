"""What a refused value looked like, for the quarantine: its kind and length, never a character of it."""

import unicodedata

_TRAITS = (
    ("a letter", str.isalpha),
    ("a digit", str.isdecimal),
    ("a space", str.isspace),
    ("a control or format character", lambda character: unicodedata.category(character) in {"Cc", "Cf", "Cs"}),
)


def describe_value_class(text: str) -> str:
    """Such as `text of 12 characters with a letter, a digit and no @`.

    The answer depends only on the length, the four kinds of characters and whether there is an at sign.
    """
    if not text.strip():
        return "blank"
    traits = [trait for trait, holds in _TRAITS if any(map(holds, text))]
    at_sign = "an @" if "@" in text else "no @"
    size = "1 character" if len(text) == 1 else f"{len(text)} characters"
    return f"text of {size} with {_listed([*traits, at_sign])}"


def _listed(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
