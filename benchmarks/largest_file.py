"""One delivered file as large as the door lets in, through the whole intake: what memory that takes.

`python -m benchmarks.largest_file [--megabytes 99] [--kept DIRECTORY]` prints one line of JSON. The file is a form's CSV
export of made-up people, each of whom signed up once; a file that is larger is refused (connectors.files).
"""

import csv
import io
import json
import shutil
import tempfile
from datetime import timedelta
from itertools import count
from pathlib import Path
from typing import Annotated, Any

import sqlalchemy as sa
import typer

from benchmarks.asking import own_server
from benchmarks.days import DAYS, FIRST_ON, UNTIL
from benchmarks.inputs import fresh_database
from benchmarks.measuring import pin_to_cores
from benchmarks.whole_intake import measure_ours
from connectors.store.address import ServerAddress
from sandbox import drop_folder, short_courses
from sandbox.organisation import Organisation, make_organisation
from sandbox.organisation.feeds import FEEDS

FEED, KEY, ADDRESS = "web_forms_campaign", "sid", "sahkoposti"
_MODELS = 300


def make_file(organisation: Organisation, folder: Path, *, megabytes: float) -> tuple[Path, int]:
    """The file with its manifest, of at most so many megabytes, and its rows: those of the organisation over and over,
    each time as other submissions of other people.
    """
    folder.mkdir(parents=True, exist_ok=True)
    titles = FEEDS[FEED].columns
    models = list(organisation.rows(organisation.by_feed[FEED]))
    out, rows, most = io.StringIO(newline=""), 0, megabytes * (1 << 20)
    writer = csv.DictWriter(out, titles, lineterminator="\r\n")
    writer.writeheader()
    for number in count():
        if out.tell() > most - 2_000 * len(models):
            break
        writer.writerows({**row, KEY: f"{number}-{row[KEY]}", ADDRESS: f"p{number}.{row[ADDRESS]}"} for row in models)
        rows += len(models)
    path = folder / f"kampanja_{UNTIL:%Y%m%d}.csv"
    drop_folder.put(path, out.getvalue().encode("utf-8-sig"), rows=rows, day=UNTIL)
    return path, rows


def run(directory: Path, *, megabytes: float, seed: int = 1) -> dict[str, Any]:
    """Take the file in on an empty store; its rows and size, and what the run took. RuntimeError where it was refused."""
    organisation = make_organisation(seed=seed, people=_MODELS, days=DAYS, until=UNTIL)
    shutil.rmtree(directory / "files", ignore_errors=True)
    path, rows = make_file(organisation, directory / "files", megabytes=megabytes)
    with own_server(directory) as server:
        register = _empty_register(organisation, server.address)
        measured = measure_ours(directory, server.address, files=path.parent, register=register)
    if measured.told["rows"] < rows:
        raise RuntimeError(f"{measured.told['rows']} rows of {rows} were read: the file was refused, or stopped.")
    return {
        "megabytes": path.stat().st_size / (1 << 20),
        "rows": rows,
        "process_mb": measured.process_mb,
        "server_mb": measured.server_mb,
        "seconds": measured.seconds,
        "outcomes": measured.told["outcomes"],
    }


def _empty_register(organisation: Organisation, address: ServerAddress) -> ServerAddress:
    """The register of the day before anybody registered."""
    register = fresh_database(address, "no_courses")
    engine = sa.create_engine(register.url_psycopg)
    short_courses.load(organisation, engine, FIRST_ON - timedelta(days=1))
    engine.dispose()
    return register


def main(
    megabytes: Annotated[float, typer.Option(help="Of the file; the door lets in 100 (connectors.files).")] = 99.0,
    kept: Annotated[Path | None, typer.Option(help="Folder to work in; a temporary one unless it is named.")] = None,
) -> None:
    """Measure, and print one line."""
    pin_to_cores()
    with tempfile.TemporaryDirectory(prefix="crm-intake-bench-") as directory:
        typer.echo(json.dumps(run((kept or Path(directory)).resolve(), megabytes=megabytes)))


if __name__ == "__main__":
    typer.run(main)
