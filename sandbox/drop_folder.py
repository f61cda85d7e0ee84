"""Stand-in of the people who export: puts the day's files into the drop folder, as Webropol, Drupal and staff do.

Each file comes after its manifest and appears whole (renamed into place); its modification time is noon of its day.
"""

import csv
import hashlib
import io
import json
import os
import re
import zipfile
from collections.abc import Callable, Iterable, Sequence
from datetime import date, datetime, time, timedelta
from pathlib import Path

from openpyxl import Workbook

from sandbox.organisation import Organisation, Submission
from sandbox.organisation.calendar import HELSINKI
from sandbox.organisation.exports import EXPORTS
from sandbox.organisation.feeds import FEEDS
from sandbox.organisation.rows_of_courses import Row

_NOON = time(12)
_EPOCH = (1980, 1, 1, 0, 0, 0)
_REPEATED = re.compile(r" #\d+$")
_MODIFIED = re.compile(rb"<dcterms:(created|modified)[^>]*>[^<]*</dcterms:\1>")


def drop_files(organisation: Organisation, folder: Path, *, first_on: date, last_on: date) -> list[Path]:
    """Writes the export files of these days, both inclusive, in the order made; returns their paths.

    A feed's exports overlap, and on Fridays somebody drops the last file once more under another name. The same
    arguments write the same bytes. A day without rows in its window has no file.
    """
    folder.mkdir(parents=True, exist_ok=True)
    written: list[Path] = []
    for number in range((last_on - first_on).days + 1):
        day = first_on + timedelta(days=number)
        for feed in EXPORTS:
            written += _drop(organisation, folder, feed, day)
    return written


def _drop(organisation: Organisation, folder: Path, feed: str, day: date) -> list[Path]:
    if not EXPORTS[feed].is_export_day(organisation.days, day):
        return []
    submissions = _window(organisation, feed, day)
    if not submissions:
        return []
    suffix, write = _WRITERS[feed]
    titles = FEEDS[feed].columns
    payload = write(titles, organisation.rows(submissions), day)
    names = [f"{FEEDS[feed].resource}_{day:%Y%m%d}{suffix}"]
    if day.weekday() == 4:
        names.append(f"{FEEDS[feed].resource}_{day:%Y%m%d} (1){suffix}")
    return [put(folder / name, payload, rows=len(submissions), day=day) for name in names]


def _window(organisation: Organisation, feed: str, day: date) -> list[Submission]:
    """What the file of `day` holds: all there is, or what came in its last days."""
    window = EXPORTS[feed].window_days
    shown = organisation.as_of(feed, day)
    return shown if window is None else [s for s in shown if s.delivered_on > day - timedelta(days=window)]


def put(path: Path, payload: bytes, *, rows: int, day: date) -> Path:
    """Put a file of that day, with so many rows, into its folder, its manifest first; returns its path."""
    manifest = {"rows": rows, "sha256": hashlib.sha256(payload).hexdigest()}
    for target, content in ((_manifest_of(path), json.dumps(manifest).encode()), (path, payload)):
        partial = path.parent / f".{target.name}.part"
        partial.write_bytes(content)
        noon = datetime.combine(day, _NOON, HELSINKI).timestamp()
        os.utime(partial, (noon, noon))
        os.replace(partial, target)
    return path


def _manifest_of(path: Path) -> Path:
    return path.with_name(f"{path.name}.manifest.json")


def _webropol_csv(titles: Sequence[str], rows: Iterable[Row], day: date) -> bytes:
    """`;`, CRLF, with a byte order mark on even days, and on odd ones a blank row at the end."""
    is_even = day.toordinal() % 2 == 0
    text = _delimited(titles, rows, delimiter=";") + ("" if is_even else ";" * (len(titles) - 1) + "\r\n")
    return text.encode("utf-8-sig" if is_even else "utf-8")


def _drupal_csv(titles: Sequence[str], rows: Iterable[Row], _: date) -> bytes:
    """`,` and a byte order mark, as the exporter writes for Excel."""
    return _delimited(titles, rows, delimiter=",").encode("utf-8-sig")


def _delimited(titles: Sequence[str], rows: Iterable[Row], *, delimiter: str) -> str:
    out = io.StringIO(newline="")
    writer = csv.writer(out, delimiter=delimiter, lineterminator="\r\n")
    writer.writerow([_REPEATED.sub("", title) for title in titles])
    writer.writerows([row[title] for title in titles] for row in rows)
    return out.getvalue()


def _workbook(titles: Sequence[str], rows: Iterable[Row], _: date) -> bytes:
    """A workbook of one sheet with true dates and numbers."""
    book = Workbook(write_only=True)
    sheet = book.create_sheet("Perusraportti")
    sheet.append(list(titles))
    for row in rows:
        sheet.append([row[title] if row[title] != "" else None for title in titles])
    out = io.BytesIO()
    book.save(out)
    return _without_clock(out.getvalue())


def _without_clock(workbook: bytes) -> bytes:
    """The workbook without the times at which it was saved, so that the same rows give the same bytes."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(workbook)) as saved, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as kept:
        for part in saved.infolist():
            content = saved.read(part)
            if part.filename == "docProps/core.xml":
                content = _MODIFIED.sub(b"", content)
            kept.writestr(zipfile.ZipInfo(part.filename, _EPOCH), content, zipfile.ZIP_DEFLATED)
    return out.getvalue()


_Writer = Callable[[Sequence[str], Iterable[Row], date], bytes]
_WRITERS: dict[str, tuple[str, _Writer]] = {
    "webropol_event_spring": (".csv", _webropol_csv),
    "webropol_event_seminar": (".xlsx", _workbook),
    "web_forms_campaign": (".csv", _drupal_csv),
    "manual_entries": (".xlsx", _workbook),
}
