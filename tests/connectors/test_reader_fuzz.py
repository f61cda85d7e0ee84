"""Every reader under damaged and made-up bytes: BatchRefused or rows, never another error; in bounded time and memory.

Gate runs are derandomised; at night the seed is random and printed with each failure. A failing input that was found
once is an `@example` from then on.
"""

import json
import os
import tracemalloc
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from connectors.arranging import arranged
from connectors.decoders import MediaType, decode, questions_in
from connectors.raw_frames import raw_frame
from pipelines.transforms.shape import shape_batch, shape_lowering
from schemas.arrangements import Arrangement
from schemas.errors import BatchRefused
from schemas.mappings import Mapping
from tests.corpus.build import CASES, mapping_of
from tests.corpus.cases import Case, book, consent, feed, text
from tests.feeds import RECEIVED, make_policy
from tests.sizes import sized

POLICY = make_policy()
NIGHTLY = os.environ.get("INTAKE_TESTS") == "night"
FUZZ = settings(
    max_examples=sized(20, 5000),
    deadline=timedelta(seconds=30),
    derandomize=not NIGHTLY,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
# What a reader may take beyond the payload itself, however the payload is made.
MEMORY_BYTES = 64 << 20
SEEDS = {
    kind: [case for case in CASES if case.name.endswith(kind)]
    for kind in (".csv", ".xlsx", ".json", ".zip", ".gz", ".tar")
}


def media_type_of_case(case: Case, mapping: Mapping) -> MediaType:
    if mapping.api:
        return MediaType.PULLED_JSON
    return {"csv": MediaType.CSV, "xlsx": MediaType.XLSX}.get(str(mapping.file and mapping.file.type), MediaType.JSON)


def tell(refused: BatchRefused) -> None:
    """A refusal says what is wrong and how to mend it."""
    assert refused.code
    assert refused.remedy in str(refused)


def read(media_type: str, payload: bytes, mapping: Mapping) -> int | None:
    """How many rows a payload gives, or None where it is refused; any other error is a failure of the test."""
    tracemalloc.start()
    try:
        raw = decode(media_type, payload, mapping)
        questions_in(media_type, payload, raw, mapping)
    except BatchRefused as refused:
        tell(refused)
        return None
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < MEMORY_BYTES + 100 * len(payload)
    try:
        shaped = shape_batch(raw, mapping, received_at=RECEIVED, policy=POLICY)
    except BatchRefused as refused:
        tell(refused)
        shaped = shape_lowering(raw, mapping, received_at=RECEIVED, policy=POLICY)
    assert len(shaped.submissions) == len(raw)
    return len(raw)


@st.composite
def damaged(draw: st.DrawFn, kind: str) -> tuple[Case, bytes]:
    """A file of the corpus with a piece cut out, doubled, overwritten or put in."""
    case = draw(st.sampled_from(SEEDS[kind]))
    payload = case.payload
    for _ in range(draw(st.integers(1, 3))):
        at, length = draw(st.integers(0, max(len(payload) - 1, 0))), draw(st.integers(0, 40))
        piece = draw(
            st.one_of(
                st.binary(max_size=20),
                st.just(payload[at : at + length]),
                st.sampled_from([b"\x00", b'"', b";", b"\n", b"\xff\xfe", b"\xed\xa0\x80", "\u202e".encode()]),
            )
        )
        payload = payload[:at] + piece + payload[at + draw(st.sampled_from([0, length])) :]
    return case, payload


@pytest.mark.parametrize("kind", sorted(SEEDS))
def test_a_damaged_file_is_read_or_refused(kind: str) -> None:
    @FUZZ
    @given(damaged(kind))
    def each(made: tuple[Case, bytes]) -> None:
        case, payload = made
        mapping = mapping_of(case)
        read(media_type_of_case(case, mapping), payload, mapping)

    each()


@pytest.mark.parametrize(
    "media_type",
    [MediaType.CSV, MediaType.XLSX, MediaType.JSON, MediaType.PULLED_JSON, MediaType.ARROW, MediaType.REST_JSON],
)
def test_bytes_that_are_nothing_are_refused_or_read(media_type: MediaType) -> None:
    mapping = feed("webropol", "survey", {"email": "E"}, submitted_at={"column": "T"})

    @FUZZ
    @given(st.binary(max_size=400))
    @example(b"")
    @example(b"PK\x03\x04")
    @example(b"\x1f\x8b\x08")
    @example(b"[" * 5000)
    def each(payload: bytes) -> None:
        read(media_type, payload, Mapping.model_validate(mapping))

    each()


CELLS = st.one_of(
    st.none(),
    st.text(max_size=30),
    st.sampled_from(
        ["1;3;8", "aino@example.org", "12.1.2026 10.61", "<DELETED>", "=1+1", "Kyllä", "-", "\u200f", "\ud800"]
    ),
    st.floats(allow_nan=True),
    st.booleans(),
)


@FUZZ
@given(st.lists(st.lists(CELLS, min_size=3, max_size=3), max_size=8), st.sampled_from(["none", "dropped", "joined"]))
def test_a_table_of_any_cells_is_read_or_refused_in_every_layout(rows: list[list[Any]], second: str) -> None:
    layout = {"second_row": second, "summary": ["Yhteensä"]}
    mapping = feed("webropol", "survey", {"email": "E"}, submitted_at={"column": "T"}, consents=[consent("C", "Kyllä")])
    plain = [
        ["" if cell is None else str(cell).encode("utf-8", "ignore").decode().replace('"', "'") for cell in row]
        for row in rows
    ]
    quoted = "".join(";".join(f'"{cell}"' for cell in row) + "\n" for row in plain)
    made = text("x", "x", {**mapping, "file": {"type": "csv", "pattern": "*", "layout": layout}}, "E;T;C\n" + quoted)
    read(MediaType.CSV, made.payload, mapping_of(made))


@settings(FUZZ, max_examples=sized(10, 1000))
@given(
    st.lists(
        st.lists(
            st.one_of(st.none(), st.floats(-1e12, 1e12), st.booleans(), st.text("abcäö@.;=-1 ", max_size=9)), max_size=4
        ),
        max_size=6,
    )
)
def test_a_workbook_of_any_cells_is_read_or_refused(rows: list[list[Any]]) -> None:
    mapping = feed(
        "webropol", "survey", {"email": "E"}, submitted_at={"column": "T"}, file={"type": "xlsx", "pattern": "*"}
    )
    made = book("x", "x", mapping, [["E", "T"], *rows])
    read(MediaType.XLSX, made.payload, mapping_of(made))


JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(
            st.sampled_from(
                [
                    "E",
                    "T",
                    "a",
                    "data",
                    "entity",
                    "name",
                    "value",
                    "QuestionAnswers",
                    "RespondentAnswers",
                    "rows",
                    "titles",
                    "received_at",
                ]
            ),
            inner,
            max_size=5,
        ),
    ),
    max_leaves=20,
)
SHAPES = [
    feed("web_forms", "survey", {"email": "E"}, submitted_at={"column": "T"}, file={"type": "json", "pattern": "*"}),
    feed(
        "web_forms",
        "survey",
        {"email": "a.E"},
        submitted_at={"column": "T"},
        file={"type": "json", "pattern": "*"},
        arrangement={
            "records": "data[]",
            "pairs": [{"list": "a", "name": "name", "values": ["value"]}],
            "items": {"column": "data", "columns": ["E"]},
        },
    ),
    feed("webropol", "survey", {"email": "E"}, submitted_at={"column": "T"}, file=None, api={"resource": "x"}),
    feed("web_forms", "survey", {"email": "data.E"}, submitted_at={"column": "T"}, file=None, api={"resource": "x"}),
]


@FUZZ
@given(JSON, st.sampled_from(SHAPES), st.booleans())
def test_a_document_of_any_shape_is_read_or_refused(document: Any, shape: dict[str, Any], is_enveloped: bool) -> None:
    rows = document if isinstance(document, list) else [document]
    envelope = {"rows": rows, "titles": [], "received_at": ["2026-11-20T12:00:00+00:00"] * len(rows)}
    mapping = Mapping.model_validate(shape)
    media_type = MediaType.PULLED_JSON if mapping.api else MediaType.JSON
    read(media_type, json.dumps(envelope if mapping.api and is_enveloped else document).encode(), mapping)


BLOCKS = {
    "blocks": [{"id": "a", "columns": {"own": "A"}}, {"id": "b", "columns": {"own": "B"}, "registers": "if_alone"}]
}
ITEMS = {"items": {"column": "A", "columns": ["E"], "form": "text"}}
OPTIONS = {"options": [{"column": "A", "options": ["1", "3", "a;b"]}]}


@settings(FUZZ, max_examples=sized(25, 2000))
@given(
    st.lists(
        st.tuples(
            st.one_of(st.none(), st.text(max_size=12), st.sampled_from(["1;3", "E: x\n---\nE: y", "3;a;b;9"])),
            st.one_of(st.none(), st.text(max_size=5)),
        ),
        max_size=6,
    ),
    st.sampled_from([BLOCKS, ITEMS, OPTIONS]),
)
def test_taking_rows_apart_loses_none_and_reads_each_by_itself(
    rows: list[tuple[str | None, str | None]], how: dict[str, Any]
) -> None:
    arrangement = Arrangement.model_validate(how)
    frame = raw_frame(
        ["No", "A", "B"], list(zip(*[(str(n), *row) for n, row in enumerate(rows)], strict=True)) or [(), (), ()]
    )
    apart = arranged(frame, arrangement)
    assert list(dict.fromkeys(apart["No"])) == list(frame["No"]), "every row is there, in its order"
    assert arranged(frame, arrangement).equals(apart)
    for number in frame["No"]:
        alone = arranged(frame[frame["No"] == number].reset_index(drop=True), arrangement)
        assert (
            alone.fillna("").values.tolist()
            == apart.loc[apart["No"] == number, alone.columns].fillna("").values.tolist()
        )
