"""One large file through the whole intake, at a small size: each of its rows is read, and the measurement says of what."""

from pathlib import Path

import pytest

from benchmarks import largest_file


def test_every_row_of_the_file_is_taken_in(tmp_path: Path) -> None:
    told = largest_file.run(tmp_path, megabytes=1.5)
    assert 1 < told["megabytes"] <= 1.5
    assert sum(told["outcomes"].values()) >= told["rows"] > 1_000
    assert told["outcomes"]["applied"] > 0.5 * told["rows"]
    assert told["process_mb"] > 0


def test_a_file_that_the_door_refuses_is_no_measurement(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_file = largest_file.make_file

    def torn(*given: object, **options: object) -> tuple[Path, int]:
        path, rows = make_file(*given, **options)  # type: ignore[arg-type]
        path.write_bytes(path.read_bytes()[:-100])
        return path, rows

    monkeypatch.setattr(largest_file, "make_file", torn)
    with pytest.raises(RuntimeError, match="refused, or stopped"):
        largest_file.run(tmp_path, megabytes=1.5)
