"""Text: damage of encodings, white space and Unicode form."""

import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pipelines.transforms.text import clean_text, is_mojibake, normalise_text
from pipelines.transforms.values import ABSENT, Value
from tests.sizes import sized

EXAMPLES = settings(max_examples=sized(25, 2_000), deadline=None)

TEXT = st.text("aZ9 äÖé-\u00a0\u200b\u0308\tÃ¤\n\r\x07\ufffd", max_size=12) | st.text(max_size=6)


@EXAMPLES
@example(["-", "- -", "--", "a-b", "abcde", "abcdef", "a  b", "Ã¤"], 5)
@given(st.lists(TEXT, max_size=15), st.sampled_from([None, 5]))
def test_a_column_gives_what_the_rule_gives_for_each_text(texts: list[str], limit: int | None) -> None:
    column = clean_text(pd.Series(texts, dtype="str"), max_length=limit)
    values, faults = (series.astype(object).where(series.notna(), None) for series in (column.values, column.faults))
    rows = [Value(*row) for row in zip(values, faults, strict=True)]
    assert rows == [normalise_text(text, max_length=limit) for text in texts]


@EXAMPLES
@given(st.text("åäöÅÄÖéüšž", min_size=1))
def test_utf8_read_as_cp1252_is_found(text: str) -> None:
    assert is_mojibake(text.encode().decode("latin-1"))


@pytest.mark.parametrize("text", ["JyvÃ¤skylÃ¤", "TyÃ¶", "\ufffd", "a\x00b", "â€œhei", "Â\u00a0x", "Ã\x84iti"])
def test_damage_of_an_encoding_is_found(text: str) -> None:
    assert is_mojibake(text)


def test_a_lone_surrogate_is_damage() -> None:
    assert is_mojibake("a\ud800")


@pytest.mark.parametrize("text", ["Jyväskylä", "TYÖ–OPISKELU", "São Paulo", "SÃO", "hyvä…”", "5 €", "Å", "naïve"])
def test_sound_text_is_not_taken_for_damaged(text: str) -> None:
    assert not is_mojibake(text)


def test_spaces_collapse_and_lines_stay() -> None:
    assert normalise_text(" Hei\u00a0  vaan \r\n\r\n terve\u200b \n") == Value("Hei vaan\n\nterve")


def test_letters_are_composed() -> None:
    assert normalise_text("a\u0308iti") == Value("äiti")


@pytest.mark.parametrize(
    ("text", "fault"), [("a\x07", "control_characters"), ("Ã¤", "mojibake"), ("abcdef", "too_long")]
)
def test_unusable_text_is_refused(text: str, fault: str) -> None:
    assert normalise_text(text, max_length=5) == Value(None, fault)


@pytest.mark.parametrize("text", ["", " \n\t", "\u00a0", "\u200b", "-", " – "])
def test_blank_text_is_absent(text: str) -> None:
    assert normalise_text(text) == ABSENT
