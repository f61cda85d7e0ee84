"""Reading the benchmark's inputs as a plain pandas script would: one frame a feed, columns renamed, values tidied.

Both peers use it, so that they differ only in how they store. Imports nothing of the project.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd
import sqlalchemy as sa

YES = {"kyllä", "x", "1", "lupa", "haluan sähköpostiini tietoa ammattikorkeakoulun tapahtumista."}
NO = {"ei", "0", "peruu", "kieltää"}
COLUMNS = [
    *("feed", "submission_id", "email", "first_name", "last_name", "phone", "company", "postal_code", "city"),
    *("submitted_at", "course_id", "status", "marketing"),
]


@dataclass(frozen=True)
class Feed:
    """Where a feed is (files by pattern, or a view) and what its columns are called with us."""

    name: str
    source: str
    titles: dict[str, str]
    separator: str = ","
    constants: dict[str, str] = field(default_factory=dict)


_SPRING = {
    "#": "submission_id",
    "Vastausaika": "submitted_at",
    "Yhteystiedot:Sähköposti": "email",
    "Yhteystiedot:Etunimi": "first_name",
    "Yhteystiedot:Sukunimi": "last_name",
    "Yhteystiedot:Matkapuhelin": "phone",
    "Yhteystiedot:Yrityksen nimi": "company",
    "Yhteystiedot:Postinumero": "postal_code",
    "Yhteystiedot:Postitoimipaikka": "city",
    "Ilmoittautumisen tila": "status",
    "Uutiskirje:Haluan sähköpostiini tietoa ammattikorkeakoulun tapahtumista.": "marketing",
}
_SEMINAR = {
    "Vastausaika": "submitted_at",
    "Osallistuja:Sähköposti": "email",
    "Osallistuja:Etunimi": "first_name",
    "Osallistuja:Sukunimi": "last_name",
    "Osallistuja:Puhelin": "phone",
    "Osallistuja:Organisaatio": "company",
    "Osallistuja:Postinumero": "postal_code",
    "Osallistuja:Postitoimipaikka": "city",
}
_CAMPAIGN = {
    "sid": "submission_id",
    "completed": "submitted_at",
    "sahkoposti": "email",
    "etunimi": "first_name",
    "sukunimi": "last_name",
    "aiheet__koulutus": "marketing",
}
_MANUAL = {
    "Kirjattu": "submitted_at",
    "Sähköposti": "email",
    "Etunimi": "first_name",
    "Sukunimi": "last_name",
    "Puhelin": "phone",
    "Organisaatio": "company",
    "Päätös": "marketing",
}
_COURSES = {
    "registration_id": "submission_id",
    "changed_at": "submitted_at",
    "given_name": "first_name",
    "family_name": "last_name",
    "employer": "company",
    "marketing_consent": "marketing",
}
FEEDS = [
    Feed("spring_day", "kevatpaiva_*.csv", _SPRING, separator=";", constants={"course_id": "kevatpaiva-2027"}),
    Feed("seminar", "sote_seminaari_*.xlsx", _SEMINAR, constants={"course_id": "sote-seminaari-2026"}),
    Feed("campaign", "kampanja_*.csv", _CAMPAIGN),
    Feed("manual", "kirjaukset_*.xlsx", _MANUAL),
    Feed("short_courses", "registration_feed", _COURSES),
    Feed("open_studies", "open_studies_feed", _COURSES),
]


def iter_frames(folder: Path, register: sa.Engine) -> Iterator[pd.DataFrame]:
    """The tidied frame of each file and view, with the columns of COLUMNS."""
    for feed in FEEDS:
        for raw in _read(feed, folder, register):
            frame = raw.rename(columns=feed.titles).assign(feed=feed.name, **feed.constants).reindex(columns=COLUMNS)
            yield tidy(frame)


def _read(feed: Feed, folder: Path, register: sa.Engine) -> Iterator[pd.DataFrame]:
    if "*" not in feed.source:
        yield pd.read_sql(f"select * from {feed.source}", register)
        return
    for path in sorted(folder.glob(feed.source)):
        if path.suffix == ".csv":
            frame = pd.read_csv(path, sep=feed.separator, dtype=str, encoding="utf-8-sig")
            yield frame.dropna(how="all")
        else:
            yield pd.read_excel(path, dtype=str)


def tidy(frame: pd.DataFrame) -> pd.DataFrame:
    """Column by column, as one would write it in an afternoon."""
    email = frame["email"].str.strip().str.lower()
    frame["email"] = email.where(email.str.fullmatch(r"[^@\s]+@[^@\s]+\.[^@\s]+"))
    for name in ("first_name", "last_name"):
        frame[name] = frame[name].str.strip().str.title()
    for name in ("company", "city"):
        frame[name] = frame[name].astype("str").str.strip()
    digits = frame["phone"].astype("str").str.replace(r"[^\d+]", "", regex=True)
    frame["phone"] = digits.str.replace(r"^00", "+", regex=True).str.replace(r"^0", "+358", regex=True)
    frame["postal_code"] = frame["postal_code"].astype("str").str.extract(r"(\d{5})", expand=False)
    frame["submitted_at"] = _utc(frame["submitted_at"])
    answer = frame["marketing"].astype("str").str.strip().str.lower()
    frame["marketing"] = answer.map({**dict.fromkeys(YES, True), **dict.fromkeys(NO, False)}).astype("boolean")
    keyless = frame["email"].fillna("") + "|" + frame["submitted_at"].astype("str").fillna("")
    frame["submission_id"] = frame["submission_id"].astype("str").fillna(keyless)
    texts = [name for name in COLUMNS if name not in ("submitted_at", "marketing")]
    return frame.astype({**dict.fromkeys(texts, "str"), "submitted_at": "datetime64[us, UTC]"})


def _utc(times: pd.Series) -> pd.Series:
    if isinstance(times.dtype, pd.DatetimeTZDtype):
        return times.dt.tz_convert("UTC")
    finnish = times.str.contains(".", regex=False).fillna(False)
    read = pd.to_datetime(times.mask(finnish), errors="coerce", format="ISO8601")
    read = read.fillna(pd.to_datetime(times.where(finnish), errors="coerce", format="mixed", dayfirst=True))
    return read.dt.tz_localize("Europe/Helsinki", ambiguous="NaT", nonexistent="NaT").dt.tz_convert("UTC")
