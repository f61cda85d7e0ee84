"""What outlives a restart, and what the control API may do to the state."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import requests

from sandbox.dataverse.options import EmulatorOptions
from sandbox.dataverse.server import start_emulator


def write_some(api) -> tuple[str, str, str]:
    kept, changed, deleted = api.contact(), api.contact(), api.contact()
    api.send("PATCH", f"contacts({changed})", {"firstname": "Eino"})
    api.send("DELETE", f"contacts({deleted})")
    return kept, changed, deleted


def restart(directory: Path, connect_to, *, end: str, tls: bool):
    """Writes, ends the process, starts it again; gives the rows before, the delta after, and both emulators."""
    before = start_emulator(directory, tls=tls)
    api = connect_to(before)
    kept, _, _ = write_some(api)
    link = api.get("contacts?$select=firstname", Prefer="odata.track-changes").json()["@odata.deltaLink"]
    api.send("DELETE", f"contacts({kept})")
    rows = api.control.rows("contacts")
    getattr(before, end)()
    with start_emulator(directory, tls=tls) as after:
        assert after.control.rows("contacts") == rows
        changes = api.get(link).json()["value"]
    assert [(change.get("reason"), change.get("id")) for change in changes] == [("deleted", kept)]
    return before, after


def test_rows_tokens_and_trust_outlive_a_clean_stop(tmp_path: Path, connect_to):
    before, after = restart(tmp_path, connect_to, end="stop", tls=True)
    assert after.base_url == before.base_url
    assert after.client_secret == before.client_secret


def test_committed_rows_outlive_a_crash(tmp_path: Path, connect_to):
    restart(tmp_path, connect_to, end="kill", tls=False)


def test_line_torn_by_a_crash_is_dropped_and_the_next_one_is_kept(tmp_path: Path, connect_to):
    running = start_emulator(tmp_path, tls=False)
    first = connect_to(running).contact()
    running.kill()
    with (tmp_path / "journal.jsonl").open("ab") as journal:
        journal.write(b'[["contact","half')
    running = start_emulator(tmp_path, tls=False)
    second = connect_to(running).contact()
    running.kill()
    with start_emulator(tmp_path, tls=False) as again:
        assert {row["contactid"] for row in again.control.rows("contacts")} == {first, second}


@pytest.fixture(scope="module")
def left_behind(tmp_path_factory: pytest.TempPathFactory, connect_to):
    """A directory after a clean stop, and its journal as it was while the emulator ran."""
    directory = tmp_path_factory.mktemp("left")
    purpose = {"msdynmkt_purposeid": "10000000-0000-0000-0000-000000000003", "msdynmkt_name": "Commercial"}
    options = EmulatorOptions(seed_rows={"msdynmkt_purposes": [purpose]}, log_to_file=True)
    with start_emulator(directory, tls=False, options=options) as running:
        api = connect_to(running)
        row_id = api.contact()
        for number in range(20):
            api.send("PATCH", f"contacts({row_id})", {"jobtitle": str(number)})
        api.bulk("CreateMultiple", "contacts", [{"firstname": "Rolled back"}, {"nothing": 1}])
        journal = (directory / "journal.jsonl").read_text()
    return directory, journal


def test_every_commit_is_one_line_and_rolled_back_writes_are_none(left_behind):
    _, journal = left_behind
    assert sum(1 for line in journal.splitlines() if json.loads(line)[0][0] == "contact") == 21
    assert "Rolled back" not in journal


def test_clean_stop_leaves_one_line_for_each_row(left_behind):
    directory, _ = left_behind
    lines = (directory / "journal.jsonl").read_text().splitlines()
    assert sum(1 for line in lines if json.loads(line)[0][0] == "contact") == 1


def test_request_log_is_appended_to_a_file_when_asked(left_behind):
    directory, _ = left_behind
    entries = [json.loads(line) for line in (directory / "requests.jsonl").read_text().splitlines()]
    assert [(entry["method"], entry["status"]) for entry in entries] == [("PATCH", 204)] * 21 + [("POST", 400)]


def test_configured_rows_are_planted_once_and_again_after_a_reset(left_behind):
    directory, _ = left_behind
    options = EmulatorOptions.from_json(json.loads((directory / "options.json").read_text()))
    with start_emulator(directory, tls=False, options=options) as running:
        assert len(running.control.rows("msdynmkt_purposes")) == 1
        running.control.seed({"msdynmkt_purposes": [{"msdynmkt_name": "Another"}]})
        running.control.reset()
        assert [row["msdynmkt_name"] for row in running.control.rows("msdynmkt_purposes")] == ["Commercial"]


def test_process_ends_when_its_parent_lets_go(tmp_path: Path):
    running = start_emulator(tmp_path, tls=False)
    running.process.stdin.close()
    assert running.process.wait(timeout=10) == 0
    running.stop()


def test_directory_in_use_by_another_process_fails_with_a_reason(tmp_path: Path):
    with start_emulator(tmp_path, tls=False), pytest.raises(RuntimeError, match="in use"):
        start_emulator(tmp_path, tls=False)


def test_stranger_to_the_certificate_authority_does_not_trust_it(api):
    with pytest.raises(requests.exceptions.SSLError):
        requests.Session().get(f"{api.base}WhoAmI", verify=True, timeout=10)


def test_seed_may_set_what_only_the_server_writes(api):
    ids = api.control.seed({"contacts": [{"firstname": "Aino", "createdon": "2020-01-01T00:00:00Z"}]}, as_user="human")
    row = api.row("contacts", ids["contacts"][0])
    assert row["createdon"] == "2020-01-01T00:00:00Z"
    assert row["_createdby_value"] == "00000000-0000-0000-0000-0000000000e1"


def test_seed_with_an_unknown_column_plants_nothing(api):
    with pytest.raises(RuntimeError, match="nothing"):
        api.control.seed({"contacts": [{"firstname": "Aino"}, {"nothing": 1}]})
    assert api.control.rows("contacts") == []


def test_human_removes_a_row(api):
    row_id = api.contact()
    api.control.remove("contacts", row_id)
    assert api.get(f"contacts({row_id})").status_code == 404
