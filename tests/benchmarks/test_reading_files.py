"""B9 at a small size: both contestants read every row, and the report has its ratios."""

from pathlib import Path

from benchmarks.reading_files import compare


def test_both_read_all_rows_and_the_ratios_are_told(tmp_path: Path) -> None:
    report = compare(tmp_path, sizes={"csv": 0.2, "xlsx": 0.05}, repeat=1)
    assert set(report["times_faster"]) == {"csv", "xlsx", "both"}
    assert all(times > 0 for times in report["times_faster"].values())
    assert all(megabytes > 0 for megabytes in report["peak_memory_mb"].values())
    assert report["rows"]["csv"] >= 1000
