"""Names: what is mended, what is left alone, how full names are split and compared."""

import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pipelines.transforms.names import (
    FullName,
    NameKey,
    given_name_key,
    name_key,
    normalise_name,
    normalise_names,
    split_full_name,
    split_full_names,
)
from pipelines.transforms.values import Value
from tests.sizes import sized

EXAMPLES = settings(max_examples=sized(25, 2_000), deadline=None)

WORDS = st.sampled_from(
    ["Matti", "MÄKI", "liisa", "af", "Von", "VAN", "O'BRIEN", "Anna-Liisa", "É", "x2", ",", "Ångström", "Li"]
)
NAME = st.builds(" ".join, st.lists(WORDS, max_size=4)) | st.text("aAÄßéİ -'’.\u0301\u200b\u00a01@", max_size=12)


@EXAMPLES
@example(["A" + "a" * 49, "A" + "a" * 50, "Anna-" * 10 + "Liisa", "MATTI", "Van"])
@given(st.lists(NAME, max_size=15))
def test_a_column_gives_what_the_rule_gives_for_each_text(texts: list[str]) -> None:
    column = normalise_names(pd.Series(texts, dtype="str"))
    values, faults = (series.astype(object).where(series.notna(), None) for series in (column.values, column.faults))
    assert [Value(*row) for row in zip(values, faults, strict=True)] == [normalise_name(text) for text in texts]


@EXAMPLES
@example([f"Matti {'V' + 'i' * 48}", f"{'M' + 'a' * 50} Virtanen", "Virtanen Matti", "Van Wright"], "family_given")
@given(st.lists(NAME, max_size=15), st.sampled_from(["given_family", "family_given"]))
def test_a_column_of_full_names_gives_what_the_rule_gives(texts: list[str], order: str) -> None:
    frame = split_full_names(pd.Series(texts, dtype="str"), order=order).astype(object)  # type: ignore[arg-type]
    rows = [FullName(*row) for row in frame.where(frame.notna(), None).itertuples(index=False)]
    assert rows == [split_full_name(text, order=order) for text in texts]  # type: ignore[arg-type]


@EXAMPLES
@given(NAME)
def test_a_mended_name_needs_no_more_mending(text: str) -> None:
    if mended := normalise_name(text).value:
        assert normalise_name(mended) == Value(mended)


@pytest.mark.parametrize(
    ("text", "mended"),
    [
        ("MATTI", "Matti"),
        ("meikäläinen", "Meikäläinen"),
        ("ANNA-LIISA", "Anna-Liisa"),
        ("O'BRIEN", "O'Brien"),
        ("VON WRIGHT", "von Wright"),
        ("af ursin", "af Ursin"),
        ("DE LA CRUZ", "de la Cruz"),
        ("VAN", "Van"),
        (" Matti\u00a0  Juhani\u200b ", "Matti Juhani"),
        ("Ma\u0308ki", "Mäki"),
    ],
)
def test_case_space_and_form_are_mended(text: str, mended: str) -> None:
    assert normalise_name(text) == Value(mended)


@pytest.mark.parametrize("text", ["McDonald", "von Wright", "DiCaprio", "Jan van Eyck", "山田"])
def test_a_name_of_mixed_case_is_left_alone(text: str) -> None:
    assert normalise_name(text) == Value(text)


@pytest.mark.parametrize("text", ["131052-308T", "matti@example.org", "123", "...", "<b>", "Matti & Liisa"])
def test_what_is_no_name_is_refused(text: str) -> None:
    assert normalise_name(text).fault == "name_unreadable"


def test_a_wiped_name_never_replaces_a_real_one() -> None:
    assert normalise_name("<DELETED>") == Value(None, "anonymised")


def test_damaged_and_overlong_names_are_refused() -> None:
    assert normalise_name("MÃ¤ki").fault == "mojibake"
    assert normalise_name("Ma\x07ki").fault == "control_characters"
    assert normalise_name("A" + "a" * 49).fault is None
    assert normalise_name("A" + "a" * 50).fault == "too_long"


@pytest.mark.parametrize(
    ("text", "order", "given", "family"),
    [
        ("Virtanen Matti Juhani", "family_given", "Matti Juhani", "Virtanen"),
        ("Matti Juhani Virtanen", "given_family", "Matti Juhani", "Virtanen"),
        ("af Ursin Erik", "family_given", "Erik", "af Ursin"),
        ("Erik af Ursin", "given_family", "Erik", "af Ursin"),
        ("VON WRIGHT MAGNUS", "family_given", "Magnus", "von Wright"),
        ("Maria de la Cruz", "given_family", "Maria", "de la Cruz"),
        ("Virtanen, Matti", "given_family", "Matti", "Virtanen"),
        ("Madonna", "family_given", "Madonna", None),
    ],
)
def test_a_full_name_is_split_in_the_declared_order(text: str, order: str, given: str, family: str | None) -> None:
    assert split_full_name(text, order=order) == FullName(given, family)  # type: ignore[arg-type]


def test_the_empty_mark_of_an_export_is_no_name() -> None:
    assert split_full_name("-", order="family_given") == FullName(None, None)


def test_accents_do_not_part_a_person_but_the_nordic_letters_do() -> None:
    assert name_key("André Juhani", "O’Brien") == name_key("ANDRE", "O'BRIEN") == NameKey("andre", "obrien")
    assert given_name_key("Väinö") == given_name_key("Va\u0308ino\u0308") == "väinö"
    assert given_name_key("Väinö") != given_name_key("Vaino")


def test_a_double_given_name_is_not_its_first_half() -> None:
    assert given_name_key("Anna-Liisa") != given_name_key("Anna-Maria")


def test_a_double_family_name_compares_with_or_without_its_hyphen() -> None:
    assert name_key(None, "Mäki-Aho") == name_key("", "Mäki Aho") == NameKey("", "mäki aho")
