"""Yes and no: only what is listed, in any case and spacing."""

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.transforms.answers import normalise_answer, normalise_answers, without_silence
from pipelines.transforms.values import ABSENT, Value
from schemas.errors import MappingError
from tests.sizes import sized

EXAMPLES = settings(max_examples=sized(25, 2_000), deadline=None)

TICK = "Haluan tilata uutiskirjeen."


@EXAMPLES
@given(
    st.lists(
        st.sampled_from(["Kyllä", "EI", " nej ", "1", "", "-", "maybe", "TRUE", "x"]) | st.text(max_size=4), max_size=20
    )
)
def test_a_column_gives_what_the_rule_gives_for_each_text(texts: list[str]) -> None:
    column = normalise_answers(pd.Series(texts, dtype="str"), yes=("Kyllä", "1"))
    values, faults = (series.astype(object).where(series.notna(), None) for series in (column.values, column.faults))
    rows = [Value(*row) for row in zip(values, faults, strict=True)]
    assert rows == [normalise_answer(text, yes=("Kyllä", "1")) for text in texts]


@pytest.mark.parametrize("text", ["Kyllä", "KYLLÄ ", "kylla\u0308", "ja", "Yes", "TRUE"])
def test_the_usual_words_for_yes_are_read_in_any_case(text: str) -> None:
    assert normalise_answer(text) == Value("yes")


@pytest.mark.parametrize("text", ["Ei", " ei", "NEJ", "no", "False"])
def test_the_usual_words_for_no_are_read_in_any_case(text: str) -> None:
    assert normalise_answer(text) == Value("no")


@pytest.mark.parametrize("text", ["1", "0", "X", "on", "joo", "kyl", "Kyllä kiitos", TICK])
def test_what_is_not_listed_is_no_answer(text: str) -> None:
    assert normalise_answer(text) == Value(None, "unknown_answer")


def test_numbers_and_the_sentence_of_an_option_count_where_the_mapping_lists_them() -> None:
    assert normalise_answer(" haluan  tilata UUTISKIRJEEN.", yes=(TICK,)) == Value("yes")
    assert normalise_answer("0", yes=("1",), no=("0",)) == Value("no")


@pytest.mark.parametrize("text", ["", "  ", "\u00a0", "-"])
def test_a_blank_cell_is_neither_yes_nor_no(text: str) -> None:
    assert normalise_answer(text) == ABSENT


@pytest.mark.parametrize(("yes", "no"), [(("Ja",), ("JA ",)), (("",), ("Ei",))])
def test_a_list_that_contradicts_itself_is_a_mapping_error(yes: tuple[str, ...], no: tuple[str, ...]) -> None:
    with pytest.raises(MappingError):
        normalise_answers(pd.Series([], dtype="str"), yes=yes, no=no)


def test_an_answer_listed_as_silent_is_blank_and_no_refusal() -> None:
    column = pd.Series(["1", "0", " 0 ", None], dtype="str")
    assert without_silence(column, ("0",)).tolist()[0] == "1"
    assert without_silence(column, ("0",)).isna().tolist() == [False, True, True, True]
