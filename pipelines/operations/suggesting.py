"""From a file that nobody has mapped to a suggested mapping, and a preview of what would be stored and what dropped."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pandas as pd
import yaml

from connectors.decoders import decode
from connectors.files import media_type_of
from connectors.form_definitions import read_definition
from connectors.json_documents import flat_row, frame_of_rows, parse_json
from connectors.mappings import mapping_of_text
from connectors.rest_pages import records_in
from connectors.unknown_files import look_at
from pipelines.operations.sessions import Session
from pipelines.transforms.shape import StagedBatch, shape_batch
from pipelines.transforms.suggesting.proposing import propose
from pipelines.transforms.suggesting.yaml_text import Frame, mapping_text
from schemas.errors import BatchRefused, ConfigurationError, MappingError
from schemas.faults import FAULTS
from schemas.mappings import Mapping, Source
from schemas.rest import RestShape
from schemas.suggestions import TODO, Proposal, Question, Role, todo_paths

PREVIEW_ROWS = 5
_STORED = ("address", "given_name", "family_name", "phone", "organisation", "country", "postal_code", "city")


@dataclass(frozen=True, slots=True)
class Wish:
    """What whoever asks knows of the feed already; None is left to be decided. `table` or `rest` (an address) say that
    the file is a sample of what is pulled there, `records` where in a sample of REST the records are."""

    source: str | None = None
    feed: str | None = None
    kind: str | None = None
    owner: str | None = None
    table: str | None = None
    rest: str | None = None
    records: str = "@"


@dataclass(frozen=True, slots=True)
class Suggestion:
    """The mapping's text, the proposals by column, what is still to be decided, and the first rows as they would be
    stored: `rows` (no row where the file is a definition) and, for each column dropped, why."""

    feed: str
    text: str
    proposals: list[Proposal]
    to_decide: list[str]
    rows: list[dict[str, Any]]
    dropped: dict[str, str]


def suggest(session: Session, name: str, payload: bytes, wish: Wish) -> Suggestion:
    """A suggestion for a file called `name`. Raises BatchRefused where it cannot be read, ConfigurationError for a wish
    that cannot be."""
    timezone = session.workspace.policy.organisation.timezone
    frame, raw, questions = read_unknown(name, payload, wish)
    frame = replace(frame, timezone=timezone)
    proposals = propose(raw, questions)
    frame = _with_delivered_columns(frame, proposals)
    text = mapping_text(frame, proposals)
    rows = preview(session, yaml.safe_load(text), raw) if len(raw) else []
    dropped = {each.column: each.why for each in proposals if each.role is Role.DROPPED}
    return Suggestion(frame.feed, text, proposals, list(todo_paths(yaml.safe_load(text))), rows, dropped)


def preview(session: Session, document: dict[str, Any], raw: pd.DataFrame) -> list[dict[str, Any]]:
    """The first rows as a mapping would store them, with what would be wrong; what is still TODO is left out."""
    mapping = _decided(document, [str(title) for title in raw.columns])
    sample = raw.head(PREVIEW_ROWS).reset_index(drop=True)
    shaped = shape_batch(sample, mapping, received_at=session.now, policy=session.workspace.policy)
    return [_stored(shaped, int(row_no)) for row_no in shaped.submissions["row_no"]]


def _stored(shaped: StagedBatch, row_no: int) -> dict[str, Any]:
    row = shaped.submissions.iloc[row_no - 1]
    faults = shaped.faults[shaped.faults["row_no"] == row_no]
    decisions = shaped.decisions[shaped.decisions["row_no"] == row_no]
    return {
        "row": row_no,
        **{name: None if pd.isna(row[name]) else row[name] for name in _STORED},
        "submitted": None if pd.isna(row["submitted_from"]) else row["submitted_from"].isoformat(),
        "decisions": [
            f"{value} {purpose}" for value, purpose in zip(decisions["value"], decisions["purpose"], strict=True)
        ],
        "wrong": [
            f"{field}: {FAULTS[fault].what}" for field, fault in zip(faults["field"], faults["fault"], strict=True)
        ],
    }


def _checked(wish: Wish) -> Wish:
    """The wish with a source that there is. ConfigurationError."""
    known = [str(source) for source in Source if source is not Source.DATAVERSE]
    if wish.source is not None and wish.source not in known:
        raise ConfigurationError(f"There is no source {wish.source!r}; there are {', '.join(known)}.")
    return wish


def read_unknown(name: str, payload: bytes, wish: Wish) -> tuple[Frame, pd.DataFrame, tuple[Question, ...]]:
    """What is known of a feed by its file: its frame, its raw rows, and its questions where it is a definition.

    Raises as `suggest`.
    """
    wish = _checked(wish)
    feed = wish.feed or feed_name(name)
    if Path(name).suffix.lower() in (".yml", ".yaml"):
        return _of_definition(payload, wish)
    if wish.rest is not None:
        raw = frame_of_rows([flat_row(row) for row in _records(payload, wish)])
        return _frame(wish, feed, Source.WEB_FORMS, ("rest", _rest(wish, wish.rest))), raw, ()
    shape = {**look_at(payload).shape, "pattern": _pattern(payload, name)}
    raw = decode_unknown(payload, shape)
    if wish.table is not None:
        return _frame(wish, feed, Source.SHORT_COURSES, ("table", {"table": wish.table})), raw, ()
    source = Source.WEBROPOL if "Vastausaika" in raw.columns or "Svarstid" in raw.columns else Source.WEB_FORMS
    return _frame(wish, feed, source, ("file", shape)), raw, ()


def _frame(wish: Wish, feed: str, source: Source, delivery: tuple[str, dict[str, Any]]) -> Frame:
    return Frame(
        source=Source(wish.source) if wish.source else source,
        feed=feed,
        title=feed.replace("_", " "),
        delivery=delivery,
        kind=wish.kind or TODO,
        owner=wish.owner or TODO,
    )


def _of_definition(payload: bytes, wish: Wish) -> tuple[Frame, pd.DataFrame, tuple[Question, ...]]:
    form = read_definition(payload)
    frame = _frame(wish, wish.feed or feed_name(form.form_id), Source.WEB_FORMS, ("api", {"resource": form.form_id}))
    return replace(frame, title=form.title), pd.DataFrame(), form.questions


def _records(payload: bytes, wish: Wish) -> list[dict[str, Any]]:
    try:
        document = parse_json(payload)
    except ValueError:
        remedy = "Save one answer of the service as it is."
        raise BatchRefused("unreadable_table", "The sample is not a JSON document.", remedy=remedy) from None
    return records_in(RestShape(base_url="https://sample.invalid", path="sample", records=wish.records), document)


def _rest(wish: Wish, address: str) -> dict[str, Any]:
    parts = urlsplit(address)
    base, _, path = parts.path.rpartition("/")
    return {
        "base_url": f"{parts.scheme}://{parts.netloc}{base}/",
        "path": path or TODO,
        "auth": {"kind": TODO},
        "paging": {"kind": TODO},
        "records": wish.records,
    }


def decode_unknown(payload: bytes, shape: dict[str, Any]) -> pd.DataFrame:
    """The raw frame of a file of a given shape that no mapping describes yet. BatchRefused."""
    mapping = Mapping.model_validate(
        {
            "source": "manual",
            "feed": "unknown",
            "title": "",
            "kind": "survey",
            "owner": "",
            "file": shape,
            "submitted_at": {"constant": ""},
            "fields": {},
            "needs_person": False,
        }
    )
    return decode(media_type_of(mapping), payload, mapping)


def _with_delivered_columns(frame: Frame, proposals: list[Proposal]) -> Frame:
    """A table says in its delivery which columns are its key and its time of change."""
    if frame.delivery[0] != "table":
        return frame
    by_role = {proposal.role: proposal.column for proposal in proposals}
    changed = by_role.get(Role.CHANGED_AT) or by_role.get(Role.SUBMITTED_AT) or TODO
    own = {"changed_at": changed, "key": by_role.get(Role.KEY, TODO)}
    return replace(frame, delivery=("table", {**frame.delivery[1], **own}))


def _decided(document: dict[str, Any], delivered: Iterable[str]) -> Mapping:
    """The valid part of a suggestion, to look at rows with: what is to be decided is dropped."""
    kept = _without_todo({**document, "kind": "survey" if document["kind"] == TODO else document["kind"]})
    for name in ("api", "table", "rest", "occasion", "registration", "wants_contact"):
        kept.pop(name, None)
    consents = [each for each in document.get("consents") or [] if not list(todo_paths(each))]
    kept |= {"consents": consents, "needs_person": False, "file": {"type": "csv", "pattern": "*"}, "owner": "-"}
    kept["submitted_at"] = kept.get("submitted_at") or {"constant": ""}
    kept["fields"] = {name: ref for name, ref in (kept.get("fields") or {}).items() if ref.get("column")}
    if "full_name" in kept["fields"]:
        kept["fields"]["full_name"].setdefault("order", "given_family")
    if kept["kind"] in ("course_registration", "event_registration", "manual_entry"):
        kept["kind"] = "survey"
    mapping = Mapping.model_validate({**kept, "ignored": []})
    return mapping.model_copy(update={"ignored": tuple(sorted(set(delivered) - mapping.mapped_columns()))})


def _without_todo(node: Any) -> Any:
    if isinstance(node, dict):
        return {key: _without_todo(value) for key, value in node.items() if value != TODO and key != TODO}
    if isinstance(node, list):
        return [_without_todo(value) for value in node if value != TODO]
    return node


def feed_name(name: str) -> str:
    """A feed's name out of a file's or form's: small ASCII letters, digits and underscores."""
    plain = Path(name).name.split(".")[0].lower().translate(str.maketrans("åäöé ", "aaoe_"))
    return re.sub(r"_+", "_", re.sub(r"[^a-z0-9_]", "_", plain)).strip("_")[:60].ljust(2, "x")


def save_mapping(session: Session, feed: str, text: str) -> Path:
    """Write a mapping into the configuration, if it is valid and no other has its name. MappingError."""
    path = session.workspace.settings.config_dir / "sources" / f"{feed_name(feed)}.yaml"
    mapping = mapping_of_text(text)
    if mapping.feed != feed_name(feed) or path.exists() or feed in session.workspace.mappings:
        raise MappingError(
            f"There is a mapping for feed {mapping.feed} already, or the names differ. Give it another name."
        )
    path.write_text(text, "utf-8")
    return path


def _pattern(payload: bytes, name: str) -> str:
    """The names under which such a file will come again: this one, and what is added to it (a date, a number)."""
    stem = re.sub(r"[\[\]*?]|\.\.+", lambda found: "?" * len(found[0]), Path(name).stem) or "*"
    return f"{stem}*{Path(name).suffix}" if Path(name).suffix else f"{stem}*.{_ending(payload, name)}"


def _ending(payload: bytes, name: str) -> str:
    return Path(name).suffix.lower().lstrip(".") or ("xlsx" if payload.startswith(b"PK") else "csv")
