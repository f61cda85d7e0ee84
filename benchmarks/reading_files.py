"""B9: a large CSV and a large workbook to a frame of text, ours beside pandas with openpyxl, each in a process of its own.

`python -m benchmarks.reading_files [--csv-mb 100] [--xlsx-mb 50] [--repeat 5]` prints one JSON document: seconds and peak
memory (this process's and its children's) of each run, medians, and how many times faster ours is.
"""

import argparse
import json
import platform
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.measuring import PeakWatch

COLUMNS = 20
WORDS = ("Aino", "Virtanen", "Mäkinen", "Jyväskylä", "2026-11-20 10:00:00", "Kyllä", "Ei", "040 1234567", "00100", "")
CONTESTANTS = ("ours", "pandas")
FILES = ("csv", "xlsx")


def make_csv(path: Path, megabytes: float, seed: int) -> int:
    """A CSV of at least so many megabytes; returns its rows."""
    dice, rows = random.Random(seed), 0
    with path.open("w", encoding="utf-8", newline="") as out:
        out.write(";".join(f"Kysymys {n}" for n in range(COLUMNS)) + "\r\n")
        while out.tell() < megabytes * (1 << 20):
            out.write("".join(f"{_row(dice, rows + n, ';')}\r\n" for n in range(1000)))
            rows += 1000
    return rows


def make_xlsx(path: Path, megabytes: float, seed: int) -> int:
    """A workbook of about so many megabytes packed; returns its rows."""
    from openpyxl import Workbook

    dice, rows = random.Random(seed), 0
    workbook = Workbook(write_only=True)
    sheet = workbook.create_sheet("Vastaukset")
    sheet.append([f"Kysymys {n}" for n in range(COLUMNS)])
    # Some 75 bytes a row once packed, measured.
    for _ in range(max(10, int(megabytes * (1 << 20) / 75))):
        rows += 1
        sheet.append(_row(dice, rows, "\t").split("\t"))
    workbook.save(path)
    return rows


def _row(dice: random.Random, number: int, between: str) -> str:
    cells = [f"henkilo{number}@example.org", *(dice.choice(WORDS) for _ in range(COLUMNS - 1))]
    return between.join(cells)


def read(contestant: str, path: Path) -> int:
    """Read the file as that contestant does; returns the rows."""
    if contestant == "pandas":
        import pandas as pd

        if path.suffix == ".csv":
            return len(pd.read_csv(path, sep=";", dtype=str))
        return len(pd.read_excel(path, dtype=str, engine="openpyxl"))
    from connectors.csv_files import decode_csv
    from connectors.xlsx_files import decode_xlsx
    from schemas.mappings import FileShape

    if path.suffix == ".csv":
        return len(decode_csv(path.read_bytes(), FileShape(type="csv", pattern="*")))
    return len(decode_xlsx(path.read_bytes(), FileShape(type="xlsx", pattern="*")))


def run_once(contestant: str, path: Path) -> dict[str, Any]:
    """One run in a process of its own: seconds of reading alone, peak memory in MB of it and its children, rows."""
    command = [sys.executable, "-m", "benchmarks.reading_files", "--read", contestant, str(path)]
    with PeakWatch() as watch, subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        watch.pid = process.pid
        told_of, _ = process.communicate()
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return {**json.loads(told_of), "memory_mb": watch.mb}


def told(contestant: str, path: Path) -> dict[str, Any]:
    """What the process of one run says of itself. Imports are not counted: they are paid once a run of many files."""
    read(contestant, _tiny(path))
    started, spent = time.perf_counter(), _cpu_seconds()
    rows = read(contestant, path)
    seconds, spent = time.perf_counter() - started, _cpu_seconds() - spent
    return {"seconds": seconds, "cpu_s": spent, "rows": rows}


def _cpu_seconds() -> float:
    """Of this process and of those that it started and that ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


def _tiny(path: Path) -> Path:
    return path.with_name(f"tiny{path.suffix}")


def compare(directory: Path, *, sizes: dict[str, float], repeat: int, seed: int = 1) -> dict[str, Any]:
    """Both contestants over both files, by turns; medians and ratios."""
    rows = {"csv": make_csv(directory / "large.csv", sizes["csv"], seed), "xlsx": 0}
    rows["xlsx"] = make_xlsx(directory / "large.xlsx", sizes["xlsx"], seed)
    make_csv(directory / "tiny.csv", 0.01, seed)
    make_xlsx(directory / "tiny.xlsx", 0.001, seed)
    runs: dict[str, list[dict[str, Any]]] = {f"{who} {kind}": [] for who in CONTESTANTS for kind in FILES}
    for _ in range(repeat):
        for kind in FILES:
            for who in CONTESTANTS:
                runs[f"{who} {kind}"].append(run_once(who, directory / f"large.{kind}"))
    return _summary(directory, rows, runs)


def _summary(directory: Path, rows: dict[str, int], runs: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    seconds = {name: statistics.median(run["seconds"] for run in of) for name, of in runs.items()}
    spent = {name: statistics.median(run["cpu_s"] for run in of) for name, of in runs.items()}
    memory = {name: max(run["memory_mb"] for run in of) for name, of in runs.items()}
    both = {who: sum(seconds[f"{who} {kind}"] for kind in FILES) for who in CONTESTANTS}
    assert all(run["rows"] == rows[name.split()[1]] for name, of in runs.items() for run in of), "a row is missing"
    return {
        "python": platform.python_version(),
        "megabytes": {kind: (directory / f"large.{kind}").stat().st_size / (1 << 20) for kind in FILES},
        "rows": rows,
        "seconds": {name: [run["seconds"] for run in of] for name, of in runs.items()},
        "median_seconds": seconds,
        "median_cpu_seconds": spent,
        "peak_memory_mb": memory,
        "times_faster": {
            **{kind: seconds[f"pandas {kind}"] / seconds[f"ours {kind}"] for kind in FILES},
            "both": both["pandas"] / both["ours"],
        },
    }


def main() -> None:
    """The command line."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--csv-mb", type=float, default=100)
    asked.add_argument("--xlsx-mb", type=float, default=50)
    asked.add_argument("--repeat", type=int, default=5)
    asked.add_argument("--read", nargs=2)
    options = asked.parse_args()
    if options.read:
        print(json.dumps(told(options.read[0], Path(options.read[1]))))
        return
    with tempfile.TemporaryDirectory() as directory:
        sizes = {"csv": options.csv_mb, "xlsx": options.xlsx_mb}
        print(json.dumps(compare(Path(directory), sizes=sizes, repeat=options.repeat), indent=2))


if __name__ == "__main__":
    main()
