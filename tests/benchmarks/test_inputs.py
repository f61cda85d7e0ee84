"""What the intake benchmark's files are: each export once, and none larger than the door lets in."""

import csv
import hashlib
import json
from datetime import date, timedelta
from pathlib import Path

from benchmarks.inputs import kept_rows
from sandbox import drop_folder
from sandbox.organisation import make_organisation

UNTIL = date(2026, 11, 20)
DAYS = 10
DOOR_BYTES = 10_000


def _rows(path: Path) -> list[list[str]]:
    with path.open(encoding="utf-8-sig", newline="") as exported:
        return [
            row for row in csv.reader(exported, delimiter=";" if path.stem.startswith("kevat") else ",") if any(row)
        ]


def test_an_export_too_large_for_the_door_lies_there_in_parts_with_every_row_once(tmp_path):
    organisation = make_organisation(seed=3, people=2500, days=DAYS, until=UNTIL)
    paths = drop_folder.drop_files(organisation, tmp_path, first_on=UNTIL - timedelta(days=DAYS), last_on=UNTIL)
    before = {path: _rows(path) for path in paths if path.suffix == ".csv" and " (1)" not in path.name}
    assert max(path.stat().st_size for path in before) > DOOR_BYTES

    rows = kept_rows(paths, door_bytes=DOOR_BYTES)

    after = sorted(tmp_path.glob("*.csv"))
    for path, (titles, *answers) in before.items():
        parts = [_rows(part) for part in after if part.stem.startswith(path.stem)]
        assert all(part[0] == titles for part in parts)
        assert [row for part in parts for row in part[1:]] == answers
    assert max(path.stat().st_size for path in after) <= DOOR_BYTES
    assert rows["csv"] == sum(len(_rows(path)) - 1 for path in after)
    for path in after:
        manifest = json.loads(path.with_name(f"{path.name}.manifest.json").read_text())
        assert manifest == {"rows": len(_rows(path)) - 1, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
