"""The scanner of free text: what it must take out, what it must leave, and that columns follow the same rule."""

import time

import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pipelines.transforms.identity_codes import REDACTED, RedactedText, redact_free_text, redact_text
from tests.sizes import sized

EXAMPLES = settings(max_examples=sized(25, 2_000), deadline=None)

PIECES = st.sampled_from(
    ["131052-308T", "131052 308T", "FI21 1234 5600 0007 85", "4111 1111 1111 1111", "allergia", "Hei.", "\n", "040 1234567",
     "\u200b", "pyo\u0308rätuoli", "1", "–", "VEGAANI", "１３１０５２－３０８Ｔ", "äiti", "! "]
)  # fmt: skip
TEXT = st.builds("".join, st.lists(PIECES | st.text("01 -aÅ\u0308", max_size=4), max_size=8))


@EXAMPLES
@example(
    ["131052\u200b-308T", "pyo\u0308rätuoli", "１３１０５２－３０８Ｔ", "13105\n2-308T 1", "e\u0301", "\u212bland"]
)
@given(st.lists(TEXT, max_size=12))
def test_a_column_gives_what_the_rule_gives_for_each_text(texts: list[str]) -> None:
    column = redact_free_text(pd.Series(texts, dtype="str"))
    values, kinds = (series.astype(object).where(series.notna(), None) for series in (column.values, column.kinds))
    assert [RedactedText(*row) for row in zip(values, kinds, strict=True)] == [redact_text(text) for text in texts]


@EXAMPLES
@given(TEXT)
def test_what_was_redacted_stays_redacted(text: str) -> None:
    once = redact_text(text).text
    assert "131052-308T" not in once
    assert redact_text(once).kinds is None


@pytest.mark.parametrize(
    "code",
    [
        "131052-308T",
        "131052a308t",
        "131052+308T",
        "131052–308T",
        "131052 308T",
        "131052 - 308T",
        "131052−308T",
        "131052\u200b-308T",
        "１３１０５２－３０８Ｔ",
        "010594Y9021",
        "010594B9021",
    ],
)
def test_an_identity_code_is_taken_out_however_it_is_written(code: str) -> None:
    assert redact_text(f"Hetuni on {code}, kiitos") == RedactedText(f"Hetuni on {REDACTED}, kiitos", "hetu")


def test_an_identity_code_glued_to_other_words_is_taken_out() -> None:
    assert redact_text("0131052-308T").kinds == "hetu"
    assert redact_text("hetu131052-308TMatti131052-308T") == RedactedText(f"hetu{REDACTED}Matti{REDACTED}", "hetu")


def test_an_identity_code_with_a_typing_error_is_taken_out_too() -> None:
    assert redact_text("131052-308X").kinds == "hetu"


@pytest.mark.parametrize("text", ["soita 040123 4567", "tilaus 1310523081", "5.12.2022 kello 12", "id f131052a308tb"])
def test_numbers_that_are_no_identity_code_stay(text: str) -> None:
    assert redact_text(text) == RedactedText(text, None)


@pytest.mark.parametrize(
    "account", ["FI21 1234 5600 0007 85", "FI2112345600000786", "DE89370400440532013000", "gb29 nwbk 6016 1331 9268 19"]
)
def test_a_bank_account_is_taken_out_and_the_words_after_it_stay(account: str) -> None:
    assert redact_text(f"Tili {account} kiitos") == RedactedText(f"Tili {REDACTED} kiitos", "iban")


def test_a_payment_card_is_told_by_its_check_digit() -> None:
    assert redact_text("Kortti 4111-1111-1111-1111.").kinds == "card"
    assert redact_text("Viite 4111-1111-1111-1112.").kinds is None


@pytest.mark.parametrize(
    "word", ["pähkinäallergia", "GLUTEENITON", "keliakia", "diabetes", "pyörätuolipaikka", "allergi", "wheelchair"]
)
def test_a_sentence_on_health_is_taken_out_whole(word: str) -> None:
    assert redact_text(f"Hei! Minulla on {word} ja lääkitys. Nähdään") == RedactedText(
        f"Hei! {REDACTED} Nähdään", "health"
    )


def test_a_profession_in_health_care_is_no_health_data() -> None:
    assert redact_text("Opiskelen sairaanhoitajaksi").kinds is None


def test_several_kinds_are_all_named() -> None:
    assert redact_text("131052-308T FI21 1234 5600 0007 85") == RedactedText(f"{REDACTED} {REDACTED}", "hetu,iban")


@pytest.mark.parametrize("text", ["abc " * 20_000, "1 " * 20_000, "FI12" * 10_000, "a" * 50_000 + " allerg"])
def test_a_long_text_costs_no_more_than_its_length(text: str) -> None:
    started = time.process_time()
    redact_text(text)
    assert time.process_time() - started < 5


def test_missing_texts_stay_missing() -> None:
    column = redact_free_text(pd.Series([None, "hei"], dtype="str", index=[4, 2]))
    assert list(column.values.index) == [4, 2]
    assert column.values.isna().tolist() == [True, False]
