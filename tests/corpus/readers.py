"""Every reader of bytes that come from outside, by name, each as a function of them; and whole inputs to begin from.

A reader reads or refuses with an error of ours; any other error is a crash. `seeds/READER/` keeps inputs that a fuzzing
run (`tests.corpus.fuzzing`) found to reach lines that no other does, and every input that was once a crash.
"""

import io
import tempfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import orjson
import pyarrow as pa
import yaml

from connectors.decoders import MediaType, decode, questions_in
from connectors.form_definitions import read_definition
from connectors.json_documents import pulled_payload
from connectors.manifests import lacks_proof
from connectors.mappings import mapping_of_text
from connectors.mending_workbooks import Baseline, MendingRow, read_workbook, write_workbook
from connectors.pushed_forms import PushedType, pushed_row, submission_id_of
from connectors.unknown_files import look_at
from schemas.errors import IntakeError
from schemas.mappings import Mapping
from tests.corpus.build import CASES
from tests.corpus.cases import feed
from tests.corpus.reading import HERE
from tests.feeds import SAMPLES

SEEDS = HERE / "seeds"
Reader = Callable[[bytes], object]

_TABLE: dict[str, Any] = {"submitted_at": {"column": "T"}, "fields": {"email": "E"}}
_ARRANGED = {
    "records": "data[]",
    "pairs": [{"list": "a", "name": "name", "values": ["value"]}],
    "items": {"column": "data", "columns": ["E"]},
}


def _mapping(source: str, **parts: Any) -> Mapping:
    return Mapping.model_validate(feed(source, "survey", {"email": "E"}, submitted_at={"column": "T"}, **parts))


def _file(kind: str, **shape: Any) -> dict[str, Any]:
    return {"type": kind, "pattern": "*", **shape}


_LAYOUT = {"found_by": ["E"], "second_row": "joined", "summary": ["Yhteensä"]}
_CSV = (_mapping("webropol", file=_file("csv")), _mapping("webropol", file=_file("csv", layout=_LAYOUT)))
_XLSX = (_mapping("webropol", file=_file("xlsx")),)
_JSON = (_mapping("web_forms", file=_file("json")), _mapping("web_forms", file=_file("json"), arrangement=_ARRANGED))
_PULLED = tuple(_mapping(source, file=None, api={"resource": "x"}) for source in ("webropol", "web_forms"))
_PROVEN = tuple(_mapping("webropol", file=_file("csv", manifest=asked)) for asked in ("rows", "sha256"))
_PUSHED = _mapping("web_forms", file=None, api={"resource": "x"}, key=["sid"])


def _decoding(media_type: str, *mappings: Mapping) -> Reader:
    def read(payload: bytes) -> None:
        for mapping in mappings:
            try:
                raw = decode(media_type, payload, mapping)
                questions_in(media_type, payload, raw, mapping)
            except IntakeError:
                continue

    return read


def _pushed(media_type: PushedType) -> Reader:
    def read(payload: bytes) -> None:
        decode(media_type, payload, _PUSHED)
        submission_id_of(pushed_row(media_type, payload), _PUSHED)

    return read


def _manifest(payload: bytes) -> None:
    for mapping in _PROVEN:
        for claims in ((payload, None), (None, payload)):
            lacks_proof(claims, b"E;T\n1;2\n", media_type=MediaType.CSV, mapping=mapping)


def _mended(payload: bytes) -> None:
    with tempfile.NamedTemporaryFile(suffix=".xlsx") as file:
        file.write(payload)
        file.flush()
        read_workbook(Path(file.name))


READERS: dict[str, Reader] = {
    "csv": _decoding(MediaType.CSV, *_CSV),
    "xlsx": _decoding(MediaType.XLSX, *_XLSX),
    "json": _decoding(MediaType.JSON, *_JSON),
    "pulled_webropol": _decoding(MediaType.PULLED_JSON, _PULLED[0]),
    "pulled_forms": _decoding(MediaType.PULLED_JSON, _PULLED[1]),
    "rest": _decoding(MediaType.REST_JSON, _PULLED[1]),
    "arrow": _decoding(MediaType.ARROW, *_PULLED),
    "drupal_form": _pushed(PushedType.DRUPAL_FORM),
    "drupal_json": _pushed(PushedType.DRUPAL_JSON),
    "typeform": _pushed(PushedType.TYPEFORM),
    "definition": read_definition,
    "mapping": lambda payload: mapping_of_text(payload.decode("utf-8", "replace")),
    "manifest": _manifest,
    "unknown": look_at,
    "mended": _mended,
}


def refuses_or_reads(name: str, payload: bytes) -> None:
    """Give the bytes to a reader; what it raises beside its own refusals passes through."""
    try:
        READERS[name](payload)
    except IntakeError:
        return


def whole_inputs(name: str) -> list[bytes]:
    """What a reader reads in life: files of the corpus, the samples, or one made here."""
    of_corpus = {
        "csv": (".csv",),
        "xlsx": (".xlsx",),
        "json": (".json", ".zip", ".gz", ".tar"),
        "unknown": (".csv", ".xlsx", ".json"),
    }
    if name in of_corpus:
        return [case.payload for case in CASES if case.name.endswith(of_corpus[name])]
    return list(_MADE[name]())


def _made_pulls(source: str) -> Iterator[bytes]:
    yield from (case.payload for case in CASES if case.mapping.get("api") and case.mapping["source"] == source)
    yield pulled_payload([{"E": "a@example.org"}], [datetime(2026, 11, 20, tzinfo=UTC)], titles=[["E", "Email"]])


def _made_arrow() -> Iterator[bytes]:
    table, sink = pa.table({"E": ["a@example.org", None], "T": ["1", ""]}), io.BytesIO()
    with pa.ipc.new_file(sink, table.schema) as file:
        file.write_table(table)
    yield sink.getvalue()


def _made_workbook() -> Iterator[bytes]:
    row = MendingRow(UUID(int=1), 2, "wrong", frozenset({"E"}), {"E": "a(at)example.org", "T": None})
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "mend.xlsx"
        write_workbook(path, Baseline("feed", ["E", "T"], [row]))
        yield path.read_bytes()


def _made_forms() -> Iterator[bytes]:
    yield b"sid=1&E=a%40example.org&T=2&topics%5B0%5D=a&topics%5B1%5D=b&name%5Bgiven%5D=Aino"


def _made_documents() -> Iterator[bytes]:
    yield orjson.dumps({"sid": "1", "E": "a@example.org", "T": "2", "data": {"topics": ["a", "b"], "n": {"x": 1}}})


def _made_typeform() -> Iterator[bytes]:
    answers = [
        {"type": "choices", "choices": {"labels": ["a", "b"]}, "field": {"id": "1", "ref": "topics"}},
        {"type": "email", "email": "a@example.org", "field": {"id": "2"}},
    ]
    yield orjson.dumps({"form_response": {"token": "t", "submitted_at": "x", "hidden": {"u": "1"}, "answers": answers}})


def _made_mappings() -> Iterator[bytes]:
    yield yaml.safe_dump(feed("webropol", "survey", {"email": "E"}, submitted_at={"column": "T"})).encode()


_MADE: dict[str, Callable[[], Iterator[bytes]]] = {
    "pulled_webropol": lambda: _made_pulls("webropol"),
    "pulled_forms": lambda: _made_pulls("web_forms"),
    "rest": lambda: _made_pulls("web_forms"),
    "arrow": _made_arrow,
    "drupal_form": _made_forms,
    "drupal_json": _made_documents,
    "typeform": _made_typeform,
    "definition": lambda: (path.read_bytes() for path in sorted(SAMPLES.glob("drupal_webform/*.yml"))),
    "mapping": _made_mappings,
    "manifest": lambda: iter([b'{"rows": 1, "sha256": "' + b"0a" * 32 + b'"}', b"0a" * 32 + b"  file.csv\n"]),
    "mended": _made_workbook,
}
