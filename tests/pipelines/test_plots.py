"""Pictures: PNGs small enough for metadata, of what was counted."""

import struct
from datetime import date, timedelta

import pytest

from pipelines.plots import draw_funnel, draw_received

DAY = date(2026, 11, 20)


def size(png: bytes) -> tuple[int, int]:
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    return struct.unpack(">II", png[16:24])


def received(days: int) -> list[dict[str, object]]:
    sources = ("manual", "short_courses", "web_forms", "webropol")
    return [
        {"source": source, "received_on": DAY - timedelta(days=n), "rows": n * 10 + 1}
        for source in sources
        for n in range(days)
    ]


@pytest.mark.parametrize("days", [0, 1, 60])
def test_rows_received_fit_into_metadata(days: int) -> None:
    png = draw_received(received(days))
    assert size(png)[0] > 600
    assert len(png) < 70_000


def test_a_longer_stage_is_another_picture() -> None:
    few = draw_funnel([{"stage": "known", "rows": 10}, {"stage": "granted", "rows": 2}])
    many = draw_funnel([{"stage": "known", "rows": 10}, {"stage": "granted", "rows": 9}])
    assert size(few) == size(many)
    assert few != many
    assert draw_funnel([{"stage": "known", "rows": 10}, {"stage": "granted", "rows": 2}]) == few
