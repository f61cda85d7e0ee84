"""The label of a question as a hash: what a mapping remembers of how it was worded when a person mapped it."""

import hashlib
import html
import re
import unicodedata

# How a raw frame carries the label that the source showed for a column, where it tells one.
LABEL_OF = "__label "

_TAG = re.compile(r"<[^<>]*>")


def label_hash(label: str) -> str:
    """16 hexadecimal digits; markup, entities, letter case and white space make no difference."""
    text = unicodedata.normalize("NFC", html.unescape(_TAG.sub(" ", label))).casefold()
    return hashlib.sha256(" ".join(text.split()).encode()).hexdigest()[:16]
