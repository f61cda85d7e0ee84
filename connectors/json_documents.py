"""JSON deliveries: files of submissions, one entry posted by itself, and the envelope that a pull is kept in.

Nested data becomes columns named by their path (`data.contact.city`); several ticked options are one cell, `a;b`.
"""

import json
import re
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import orjson
import pandas as pd

from connectors.archives import documents_in, is_archive
from connectors.json_records import records_of
from connectors.raw_frames import as_cell, raw_frame, refuse_too_large, refuse_too_sparse
from connectors.text_encoding import cut_short, decode_text
from schemas.errors import BatchRefused
from schemas.labels import LABEL_OF
from schemas.mappings import RECEIVED_AT, Mapping, Source

# What Drupal's Webform module itself keeps of each submission (drupal.org/project/webform, WebformSubmission).
WEBFORM_FIELDS = frozenset(
    {
        *("serial", "sid", "uuid", "token", "uri", "created", "completed", "changed", "in_draft", "current_page"),
        *("remote_addr", "uid", "langcode", "webform_id", "entity_type", "entity_id", "locked", "sticky", "notes"),
    }
)
_DEEPEST = 8
_SURROGATE = re.compile("[\ud800-\udfff]")


def parse_json(payload: bytes) -> Any:
    """The document, lone surrogates (which no store takes) made U+FFFD. Raises ValueError where it is no JSON."""
    try:
        return orjson.loads(payload)
    except orjson.JSONDecodeError:
        pass
    try:
        text = json.dumps(json.loads(payload), ensure_ascii=False)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    return orjson.loads(_SURROGATE.sub("\ufffd", text).encode())


def read_json_file(payload: bytes, mapping: Mapping) -> pd.DataFrame:
    """The raw frame of one submission, a list of them, or an archive of either.

    Raises BatchRefused: `cut_short`, `zip_bomb`, `unreadable_table` and those of `decode_text`.
    """
    documents = documents_in(payload) if is_archive(payload) else [payload]
    rows = [row for document in documents for row in records_of(_document(document), mapping.arrangement)]
    return submissions_frame(rows, mapping)


def _document(payload: bytes) -> Any:
    text = decode_text(payload)
    try:
        return parse_json(text.encode())
    except ValueError:
        raise _broken(text) from None


def submissions_frame(rows: Sequence[Any], mapping: Mapping, *, titles: Iterable[Any] = ()) -> pd.DataFrame:
    """The raw frame of submissions. Webform's own fields are columns where the mapping names them, the form's always.

    `titles` are the form's element keys, or [key, label]; a column read that no row has is wholly blank where they
    have it. Raises BatchRefused (`unreadable_table`) where a row is no object.
    """
    if not all(isinstance(row, dict) for row in rows):
        raise _unreadable("it is neither an object nor a list of objects")
    withheld = WEBFORM_FIELDS - named_columns(mapping) if mapping.source is Source.WEB_FORMS else frozenset()
    flat = [{name: cell for name, cell in _flat(_unwrapped(row)) if name not in withheld} for row in rows]
    labels = dict((title, None) if isinstance(title, str) else (title[0], title[1]) for title in titles)
    known = {f"data.{key}" for key in labels}
    frame = frame_of_rows(flat, sorted(known & mapping.read_columns()))
    return _with_labels(frame, mapping, {f"data.{key}": label for key, label in labels.items() if label})


def _with_labels(frame: pd.DataFrame, mapping: Mapping, labels: dict[str, str]) -> pd.DataFrame:
    """The labels that the form shows now, beside the consents whose mapping remembers one."""
    asked = {consent.column for consent in mapping.consents if consent.label_hash}
    shown = {f"{LABEL_OF}{column}": labels[column] for column in sorted(asked & set(labels), key=str) if column}
    texts = {name: pd.Series(label, index=frame.index, dtype="str") for name, label in shown.items()}
    return frame.assign(**texts)


def flat_row(row: dict[str, Any]) -> dict[str, str | None]:
    """A record's cells by their paths, as every JSON delivery has them."""
    return dict(_flat(row))


def frame_of_rows(rows: Sequence[dict[str, Any]], absent: Iterable[str] = ()) -> pd.DataFrame:
    """The raw frame of rows whose columns differ: in order of first sight, then the `absent` ones, wholly blank."""
    titles = list(dict.fromkeys([title for row in rows for title in row] + list(absent)))
    refuse_too_large(len(rows), len(titles))
    refuse_too_sparse(len(rows), len(titles))
    return raw_frame(titles, ([row.get(title) for row in rows] for title in titles))


def named_columns(mapping: Mapping) -> frozenset[str]:
    """Every column that the mapping knows, read or ignored."""
    return mapping.read_columns() | frozenset(mapping.ignored)


def pulled_payload(rows: Sequence[Any], received_at: Sequence[datetime], *, titles: Sequence[Any]) -> bytes:
    """The envelope of a pull: the source's rows as given, when each counts as received, and the titles the form has."""
    return orjson.dumps(
        {"received_at": [at.isoformat() for at in received_at], "titles": list(titles), "rows": list(rows)}
    )


def with_received_at(frame: pd.DataFrame, received_at: Sequence[str]) -> pd.DataFrame:
    """The raw frame of a pull, with the column `RECEIVED_AT`; every pulled row has a key, so none was left out."""
    return frame.assign(**{RECEIVED_AT: pd.Series(list(received_at), index=frame.index, dtype="str")})


def _flat(node: dict[str, Any], prefix: str = "", depth: int = 1) -> Iterable[tuple[str, str | None]]:
    for key, value in node.items():
        name = f"{prefix}{key}"
        if isinstance(value, dict) and value and depth < _DEEPEST:
            yield from _flat(value, f"{name}.", depth + 1)
        elif value != {} and not (name == "data" and not value):  # PHP writes an empty object as []
            yield name, _cell(value)


def _cell(value: Any) -> str | None:
    if isinstance(value, list) and not any(isinstance(item, dict | list) for item in value):
        return ";".join(cell for item in value if (cell := as_cell(item)) is not None) or None
    return as_cell(value)


def _unwrapped(row: dict[str, Any]) -> dict[str, Any]:
    """A submission as `webform_rest` gives it, its fields as lists of {"value": ...}, in the form that exports have."""
    if not isinstance(row.get("entity"), dict):
        return row
    fields = {name: items[0].get("value") for name, items in row["entity"].items() if _is_field(items)}
    return {**fields, "data": row.get("data") or {}}


def _is_field(items: object) -> bool:
    return isinstance(items, list) and bool(items) and isinstance(items[0], dict)


def _broken(text: str) -> BatchRefused:
    """What begins as JSON and does not end so is cut short; anything else never was any."""
    begun, ended = text.lstrip()[:1], text.rstrip().endswith(("}", "]"))
    is_cut = not begun or (begun in "{[" and not ended)
    return cut_short("The document is not whole.") if is_cut else _unreadable("it is not JSON")


def _unreadable(what: str) -> BatchRefused:
    message = f"The file is not a list of submissions: {what}."
    return BatchRefused(
        "unreadable_table", message, remedy="Export the submissions again as JSON, completed ones only."
    )
