"""What must not pass the landing in free text: personal identity codes, bank accounts, payment cards, health data.

Found things are replaced by `[redacted]`; of health, which is told by whole sentences, the whole sentence. The scanner
errs on the side of taking out: an identity code with a typing error is still one. Names and addresses it leaves.
"""

import re
import unicodedata
from dataclasses import dataclass

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from stdnum import iban, luhn
from stdnum.fi import hetu

from pipelines.transforms.text import strip_format
from pipelines.transforms.values import NormalisedColumn, over_distinct, settle

REDACTED = "[redacted]"
_CODES = "hetu|iban|card"

# Beginnings of Finnish, Swedish and English words, matched inside compounds too (pähkinäallergia): health, disability,
# and diets, which tell of health or religion.
_HEALTH_WORDS = (
    "allergi allergy allergen anafylak anaphyla astma asthma autismi autist celiac celiak coeliac depressi diabet"
    " dieetti disab disease dyslexi dysleksi epilep funktionsned gluteen gluten halal handicap hearing_aid hörapparat"
    " illness induktiosilmuk invalidi keliaki kosher kuulokoje kuulovam laktoosi laktos lactose liikuntaraj"
    " liikuntavam lukihäiri mental_health mielenterv migreeni migraine migrän näkövam pregnan raskaana gravid raskaus"
    " ruoka-aine ruokarajoit ruokavalio rörelsehind sairaude sairaus sjukdom synskad vegaani vegan viittomakiel"
    " wheelchair rullstol pyörätuol adhd insuliini insulin crohn syöpä cancer"
)
HEALTH_STEMS = tuple(word.replace("_", " +") for word in _HEALTH_WORDS.split())

_DASHES = {ord(dash): "-" for dash in "‐‑‒–—―−﹘﹣－"}
_SPACES = {ord(space): " " for space in "\u00a0\u2007\u2009\u202f"}
_FULL_WIDTH = {0xFF01 + offset: chr(0x21 + offset) for offset in range(94)}
# One character for one, so that places in the folded text are places in the text.
_FOLDS = {**_FULL_WIDTH, **_SPACES, **_DASHES}

# Day, month, year; the century's mark, maybe between spaces or lost; the number and the check character.
# https://dvv.fi/en/reform-of-personal-identity-code (marks Y to U and B to F from 2023).
_HETU = re.compile(
    r"(?P<born>(?:0[1-9]|[12][0-9]|3[01])(?:0[1-9]|1[0-2])[0-9]{2})"
    r"(?: ?(?P<mark>[-+A-FU-Y]) ?| )(?P<number>[0-9]{3})(?P<check>[0-9A-FHJ-NPR-Y])(?:(?<![0-9])|(?![0-9]))",
    re.IGNORECASE,
)
_IBAN = re.compile(r"(?<![0-9A-Za-z])[A-Z]{2}[0-9]{2}(?:[ -]?[A-Z0-9]){11,30}", re.IGNORECASE)
_FINNISH_IBAN = re.compile(r"FI[0-9]{2}(?:[ -]?[0-9]){14}(?![0-9A-Za-z])", re.IGNORECASE)
_CARD = re.compile(r"(?<![0-9A-Za-z])[2-6][0-9]{3}(?:[ -]?[0-9]){9,15}(?![0-9A-Za-z])")
_HEALTH = re.compile("|".join(HEALTH_STEMS), re.IGNORECASE)
_SENTENCE = re.compile(r"[^.!?\n]+[.!?]*")

# Nine digits are the fewest of anything above; format characters and other dashes hide codes from a plain search.
_SUSPICIOUS = rf"(?is)(?:\p{{Nd}}.*){{9}}|\p{{Cf}}|{'|'.join(HEALTH_STEMS)}"

_Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class RedactedText:
    """The text in NFC with what was found replaced; `kinds` are the sorted kinds found, such as `hetu,iban`, or None."""

    text: str
    kinds: str | None


@dataclass(frozen=True, slots=True)
class RedactedColumn:
    """`values` and `kinds`: two `str` series indexed as the input."""

    values: pd.Series
    kinds: pd.Series


def redact_text(text: str) -> RedactedText:
    """`text` without identity codes (`hetu`), bank accounts (`iban`), payment cards (`card`) and `health` sentences.

    What it returns holds nothing more that it would take out.
    """
    readable = unicodedata.normalize("NFC", strip_format(text))
    kinds: set[str] = set()
    # Taking one thing out can bare the next, where two were written without a space between.
    while found := _found(readable.translate(_FOLDS)):
        kinds |= set(found)
        readable = _without(readable, [span for spans in found.values() for span in spans])
    return RedactedText(readable, ",".join(sorted(kinds)) or None)


def redact_free_text(column: pd.Series) -> RedactedColumn:
    """`redact_text` over a `str` column; texts that hold nothing suspicious are only brought to NFC."""

    def rule(text: str) -> tuple[str, str | None]:
        redacted = redact_text(text)
        return redacted.text, redacted.kinds

    def decide(texts: pa.Array) -> pd.DataFrame:
        readable = pc.utf8_normalize(texts, "NFC")
        is_suspicious = pc.match_substring_regex(readable, pattern=_SUSPICIOUS)
        values = pc.if_else(is_suspicious, pa.scalar(None, texts.type), readable)
        return settle(texts, {"value": values, "kinds": pa.nulls(len(texts), pa.large_string())}, rule=rule)

    frame = over_distinct(column, decide)
    return RedactedColumn(frame["value"], frame["kinds"])


def without_codes(column: NormalisedColumn) -> NormalisedColumn:
    """A column of short texts (an employer, a town) without those that hold an identity code, an account or a card.

    Words of health stay: an employer may be named after an illness, and that tells nothing of who works there.
    """
    has_code = redact_free_text(column.values).kinds.str.contains(_CODES).fillna(False).astype(bool)
    return NormalisedColumn(column.values.mask(has_code), column.faults.mask(has_code, "holds_code"))


def _found(folded: str) -> dict[str, list[_Span]]:
    cards = (match for match in _CARD.finditer(folded) if luhn.is_valid(re.sub("[ -]", "", match[0])))
    spans = {
        "hetu": _hetu_spans(folded),
        "iban": _iban_spans(folded),
        "card": [match.span() for match in cards],
        "health": _health_spans(folded),
    }
    return {kind: places for kind, places in spans.items() if places}


def _hetu_spans(folded: str) -> list[_Span]:
    return [match.span() for match in _HETU.finditer(folded) if _is_identity_code(match)]


def _is_identity_code(match: re.Match[str]) -> bool:
    before, after = match.string[max(match.start() - 1, 0) : match.start()], match.string[match.end() : match.end() + 1]
    if match["mark"] in {"-", "+"}:
        return match["check"].isalpha() or not before.isdecimal()
    if before.isalnum() or after.isalnum():
        return False
    if match["mark"] or match["check"].isalpha():
        return True
    # Digits only and the mark lost: most of these are phone numbers, so here the check character has to be right.
    code = f"{match['born']}-{match['number']}{match['check']}"
    return bool(hetu.is_valid(code, allow_temporary=True))


def _iban_spans(folded: str) -> list[_Span]:
    spans = [match.span() for match in _FINNISH_IBAN.finditer(folded)]
    for match in _IBAN.finditer(folded):
        # The search runs on into the words that follow the account: the longest beginning that checks out is taken.
        lengths = range(len(match[0]), 14, -1)
        valid = next((end for end in lengths if match[0][end - 1].isalnum() and iban.is_valid(match[0][:end])), None)
        if valid:
            spans.append((match.start(), match.start() + valid))
    return spans


def _health_spans(folded: str) -> list[_Span]:
    if not _HEALTH.search(folded):
        return []
    return [sentence.span() for sentence in _SENTENCE.finditer(folded) if _HEALTH.search(sentence[0])]


def _without(text: str, spans: list[_Span]) -> str:
    pieces, end = [], 0
    for start, stop in _merged(spans):
        leading = len(text[start:stop]) - len(text[start:stop].lstrip())
        pieces += [text[end : start + leading], REDACTED]
        end = stop
    return "".join([*pieces, text[end:]])


def _merged(spans: list[_Span]) -> list[_Span]:
    merged: list[_Span] = []
    for start, stop in sorted(spans):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(stop, merged[-1][1]))
        else:
            merged.append((start, stop))
    return merged
