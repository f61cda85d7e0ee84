"""Builders of mappings and raw frames for the tests of connectors and of shaping: valid by default, changed by name."""

from collections.abc import Mapping as Cells
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from schemas.mappings import Mapping
from schemas.policy import Policy
from schemas.records import Window

SAMPLES = Path(__file__).parent / "samples"
CONFIG = Path(__file__).parents[1] / "config"

DAY = date(2026, 11, 20)
NOW = datetime(2026, 11, 21, 6, tzinfo=UTC)
RECEIVED = datetime(2026, 11, 20, 12, tzinfo=UTC)
WINDOW = Window(DAY, DAY)

WORDING = {"text": "I want the newsletter by e-mail.", "language": "en", "version": "1"}


def make_mapping(**changes: Any) -> Mapping:
    """A sign-up form delivered as CSV: Id;Time;Email;Newsletter."""
    plain: dict[str, Any] = {
        "source": "web_forms",
        "feed": "form",
        "title": "A form",
        "kind": "mailing_list",
        "owner": "Communications",
        "file": {"type": "csv", "pattern": "*.csv"},
        "key": ["Id"],
        "submitted_at": {"column": "Time", "timezone": "Europe/Helsinki"},
        "fields": {"email": {"column": "Email"}},
        "consents": [make_consent()],
    }
    given = {name: change for name, change in {**plain, **changes}.items() if change is not None}
    return Mapping.model_validate(given)


def make_consent(**changes: Any) -> dict[str, Any]:
    """A consent to marketing by a column of Yes and No."""
    plain = {
        "purpose": "marketing",
        "column": "Newsletter",
        "grants": ["Yes"],
        "refuses": ["No"],
        "wording": WORDING,
        "notice_version": "2026-01",
    }
    return {name: change for name, change in {**plain, **changes}.items() if change is not None}


def make_raw(*rows: Cells[str, str | None]) -> pd.DataFrame:
    """A raw frame of rows that are valid by default; a column that is in no row is not there."""
    plain = {"Id": "1", "Time": "2026-11-20 10:00:00", "Email": "aino@example.org", "Newsletter": None}
    filled = [{**plain, "Id": str(number), **row} for number, row in enumerate(rows, 1)]
    titles = list(dict.fromkeys(title for row in filled for title in row))
    return pd.DataFrame({title: pd.Series([row.get(title) for row in filled], dtype="str") for title in titles})


def make_policy() -> Policy:
    """The policy of the first organisation."""
    return Policy.model_validate(with_notice(yaml.safe_load((CONFIG / "intake.yaml").read_text("utf-8"))))


def with_notice(written: dict[str, Any]) -> dict[str, Any]:
    """A policy as it is written, with the privacy notice that the tests' own feeds show."""
    notice = {"url": "https://www.example.org/privacy", "since": date(2026, 1, 1)}
    return {**written, "notices": {**written["notices"], "2024-1": notice, "2026-01": notice}}
