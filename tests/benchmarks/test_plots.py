"""Pictures are drawn from the results alone: of those that there are, and what each shows."""

import json
import shutil
from pathlib import Path

import pytest

from benchmarks.plots import RESULTS, draw_all

B1 = {
    "rows_by_latency": 40,
    "by_latency": [{"latency_ms": 0, "rows_per_s": [9]}, {"latency_ms": 200, "rows_per_s": [3]}],
}
B13 = {"days": {"10": [{"seconds": 1.0}, {"seconds": 1.2}], "100": [{"seconds": 1.1}]}}


def names(folder: Path) -> set[str]:
    return {path.name for path in draw_all(folder)}


def test_without_results_there_are_no_pictures(tmp_path: Path) -> None:
    assert names(tmp_path) == set()


@pytest.mark.parametrize(
    ("result", "content", "picture"), [("b1", B1, "speed_by_latency.png"), ("b13", B13, "time_by_size.png")]
)
def test_a_picture_is_drawn_where_its_results_are_there(
    tmp_path: Path, result: str, content: dict, picture: str
) -> None:
    (tmp_path / f"{result}.json").write_text(json.dumps(content))
    assert names(tmp_path) == {picture}
    assert (tmp_path / picture).read_bytes().startswith(b"\x89PNG")


def test_a_first_load_of_before_the_sweep_has_no_picture(tmp_path: Path) -> None:
    (tmp_path / "b1.json").write_text(json.dumps({"rows": 40}))
    assert names(tmp_path) == set()


def test_the_pictures_in_the_tree_are_those_of_its_results(tmp_path: Path) -> None:
    for path in RESULTS.glob("*.json"):
        shutil.copy(path, tmp_path)
    assert names(tmp_path) == {path.name for path in RESULTS.glob("*.png")}


def test_every_picture_that_the_page_shows_is_there_and_the_other_way_round() -> None:
    page = (RESULTS.parents[1] / "docs" / "benchmarks.md").read_text()
    shown = {path.name for path in RESULTS.glob("*.png") if f"../benchmarks/results/{path.name})" in page}
    assert shown == {path.name for path in RESULTS.glob("*.png")}
    assert page.count(".png)") == len(shown)
