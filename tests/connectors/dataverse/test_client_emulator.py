"""The client against the sandbox's Dataverse over real TLS: writes, reads, changes, metadata, faults."""

import threading
from dataclasses import replace
from typing import Any

import pytest

from connectors.dataverse import (
    ChangeTokenExpired,
    DataverseClient,
    DataverseSettings,
    TableName,
    validate_rows,
)
from sandbox.dataverse.server import RunningEmulator
from schemas.errors import CrmMisconfigured


def stored(emulator: RunningEmulator) -> dict[str, dict[str, Any]]:
    return {row["contactid"]: row for row in emulator.control.rows("contacts")}


def writes(emulator: RunningEmulator) -> list[dict[str, Any]]:
    return [seen for seen in emulator.control.requests() if seen["path"].endswith(("UpsertMultiple", "$batch"))]


def test_upserted_rows_are_there_and_a_second_time_changes_no_count(
    crm: DataverseClient, emulator: RunningEmulator, kit: Any
) -> None:
    rows = [kit.row(n, emailaddress1=f"person{n}@example.org", donotbulkemail=True) for n in range(250)]
    for _ in range(2):
        assert {r.outcome for r in crm.upsert_many(kit.contacts, rows)} == {"acknowledged"}
        assert len(stored(emulator)) == 250
    found = stored(emulator)[rows[7]["contactid"]]
    assert (found["emailaddress1"], found["donotbulkemail"]) == ("person7@example.org", True)


def test_poison_rows_are_refused_with_their_code_and_the_rest_lands(
    crm: DataverseClient, emulator: RunningEmulator, kit: Any
) -> None:
    rows = [kit.row(n) for n in range(100)]
    rows[13] = kit.row(13, firstname="x" * 51)
    rows[77] = kit.row(77, gendercode=99)
    results = crm.upsert_many(kit.contacts, rows)
    refused = {r.row_id: r.code for r in results if r.outcome == "refused"}
    assert refused == {rows[13]["contactid"]: "0x80044331", rows[77]["contactid"]: "0x8004431a"}
    assert set(stored(emulator)) == {row["contactid"] for row in rows} - set(refused)
    assert len(writes(emulator)) <= 1 + 2 * 2 * 7


def test_local_validation_finds_what_the_server_refuses(crm: DataverseClient, kit: Any) -> None:
    definition = crm.fetch_metadata(kit.contacts)
    assert crm.fetch_metadata(kit.contacts, no_older_than_s=60) is definition
    assert crm.fetch_metadata(kit.contacts) is not definition
    assert definition.is_change_tracked and definition.has_optimistic_concurrency
    open_to_us = {"is_writable": True, "is_secured": False}
    assert definition.columns["firstname"] == {"type": "String", "max_length": 50, **open_to_us}
    assert definition.columns["merged"]["is_writable"] is False
    assert definition.columns["birthdate"]["type"] == "DateOnly"
    assert definition.columns["parentcustomerid_contact"]["type"] == "Navigation"
    rows = [kit.row(1), kit.row(2, firstname="x" * 51), kit.row(3, gendercode=99), kit.row(4, nosuch=1)]
    faults = [[fault.fault for fault in found] for found in validate_rows(rows, definition.columns)]
    assert faults == [[], ["too_long"], ["option_unknown"], ["unknown_column"]]


def test_a_table_declared_wrongly_is_found_by_its_metadata(crm: DataverseClient) -> None:
    with pytest.raises(CrmMisconfigured):
        crm.fetch_metadata(TableName("contacts", "contact", "accountid"))


@pytest.mark.parametrize("row", [{"nosuch": 1}, {"Firstname": "A"}])
def test_an_unknown_column_stops_before_anything_is_written(
    crm: DataverseClient, emulator: RunningEmulator, kit: Any, row: dict[str, object]
) -> None:
    with pytest.raises(CrmMisconfigured):
        crm.upsert_many(kit.contacts, [kit.row(1), kit.row(2, **row)])
    assert stored(emulator) == {}


def test_an_unknown_table_is_a_misconfiguration(crm: DataverseClient, kit: Any) -> None:
    with pytest.raises(CrmMisconfigured):
        crm.upsert_many(TableName("Contacts", "contact", "contactid"), [kit.row(1)])


def test_an_update_of_a_row_that_a_person_edited_meanwhile_is_a_conflict(
    crm: DataverseClient, emulator: RunningEmulator, kit: Any
) -> None:
    rows = [kit.row(n) for n in range(3)]
    ids = [row["contactid"] for row in rows]
    crm.upsert_many(kit.contacts, rows)
    known = crm.fetch_rows(kit.contacts, ids, ["firstname"])
    emulator.control.edit("contacts", ids[1], {"firstname": "Edited"})
    emulator.control.remove("contacts", ids[2])
    updates = [(kit.row(n, firstname="Ours"), str(known[ids[n]]["@odata.etag"])) for n in range(3)]
    results = crm.update_if_match(kit.contacts, updates)
    assert [(r.outcome, r.status) for r in results] == [("acknowledged", 204), ("conflict", 412), ("conflict", 404)]
    assert {i: row["firstname"] for i, row in stored(emulator).items()} == {ids[0]: "Ours", ids[1]: "Edited"}


def test_lowering_never_creates_a_row_again(crm: DataverseClient, emulator: RunningEmulator, kit: Any) -> None:
    crm.upsert_many(kit.contacts, [kit.row(1)])
    results = crm.update_existing(kit.contacts, [kit.row(n, donotbulkemail=True) for n in (1, 2)])
    assert [r.outcome for r in results] == ["acknowledged", "conflict"]
    assert len(stored(emulator)) == 1


def test_deleting_twice_is_acknowledged_twice(crm: DataverseClient, emulator: RunningEmulator, kit: Any) -> None:
    rows = [kit.row(n) for n in range(5)]
    ids = [row["contactid"] for row in rows]
    crm.upsert_many(kit.contacts, rows)
    for _ in range(2):
        assert {r.outcome for r in crm.delete_many(kit.contacts, ids)} == {"acknowledged"}
    assert stored(emulator) == {}


def test_rows_are_read_back_by_id_and_by_page(crm: DataverseClient, kit: Any) -> None:
    rows = [kit.row(n) for n in range(230)]
    ids = [row["contactid"] for row in rows]
    crm.upsert_many(kit.contacts, rows)
    found = crm.fetch_rows(kit.contacts, [*ids, kit.row(999)["contactid"]], ["firstname"])
    assert {i: row["firstname"] for i, row in found.items()} == {row["contactid"]: row["firstname"] for row in rows}
    assert all(str(row["@odata.etag"]).startswith("W/") for row in found.values())
    assert {row["contactid"] for row in crm.iter_rows(kit.contacts, ["firstname"], page_size=50)} == set(ids)
    assert [row["firstname"] for row in crm.iter_rows(kit.contacts, ["firstname"], filter="firstname eq 'Name7'")] == [
        "Name7"
    ]


def test_changes_since_a_delta_link_are_rows_and_deletions(
    crm: DataverseClient, emulator: RunningEmulator, kit: Any
) -> None:
    ids = [kit.row(n)["contactid"] for n in range(4)]
    crm.upsert_many(kit.contacts, [kit.row(n) for n in range(3)])
    *_, first = crm.iter_changes(kit.contacts, ["firstname"])
    emulator.control.edit("contacts", ids[0], {"firstname": "Edited"})
    emulator.control.remove("contacts", ids[1])
    crm.upsert_many(kit.contacts, [kit.row(3)])
    (page,) = crm.iter_changes(kit.contacts, ["firstname"], first.delta_link)
    assert {row["contactid"]: row["firstname"] for row in page.rows} == {ids[0]: "Edited", ids[3]: "Name3"}
    assert page.deleted_ids == [ids[1]]
    (nothing,) = crm.iter_changes(kit.contacts, ["firstname"], page.delta_link)
    assert (nothing.rows, nothing.deleted_ids) == ([], [])


def test_an_old_delta_link_has_expired(crm: DataverseClient, emulator: RunningEmulator, kit: Any) -> None:
    *_, first = crm.iter_changes(kit.contacts, ["firstname"])
    emulator.control.clock(advance=8 * 86400)
    with pytest.raises(ChangeTokenExpired):
        list(crm.iter_changes(kit.contacts, ["firstname"], first.delta_link))


def test_an_answer_lost_after_the_commit_is_unresolved_and_can_be_read_back(
    crm: DataverseClient, emulator: RunningEmulator, kit: Any
) -> None:
    rows = [kit.row(n) for n in range(10)]
    emulator.control.faults({"kind": "cut", "path": "UpsertMultiple", "after_commit": True})
    assert {r.outcome for r in crm.upsert_many(kit.contacts, rows)} == {"unresolved"}
    assert len(crm.fetch_rows(kit.contacts, [row["contactid"] for row in rows], ["firstname"])) == 10
    assert len(writes(emulator)) == 1


def test_an_expired_token_is_replaced_in_the_middle_of_the_work(
    crm: DataverseClient, emulator: RunningEmulator, kit: Any
) -> None:
    crm.upsert_many(kit.contacts, [kit.row(1)])
    emulator.control.clock(advance=2 * 3600)
    assert crm.upsert_many(kit.contacts, [kit.row(2)])[0].outcome == "acknowledged"
    assert [seen["status"] for seen in writes(emulator)] == [204, 401, 204]
    assert len(stored(emulator)) == 2


def test_a_throttled_and_deadlocking_server_gets_every_row_once(
    settings: DataverseSettings, emulator: RunningEmulator, kit: Any
) -> None:
    emulator.control.faults(
        {"kind": "throttle", "path": "UpsertMultiple", "times": 2, "retry_after": "1"},
        {"kind": "deadlock", "path": "UpsertMultiple", "times": 2},
    )
    client = DataverseClient(settings)
    chunks = [[kit.row(n) for n in range(start, start + 20)] for start in range(0, 160, 20)]
    threads = [threading.Thread(target=client.upsert_many, args=(kit.contacts, chunk)) for chunk in chunks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert len(stored(emulator)) == 160
    assert list(emulator.control.fault_hits().values()) == [2, 2]


def test_the_emulator_knows_every_header_that_we_send(
    settings: DataverseSettings, emulator: RunningEmulator, kit: Any
) -> None:
    client = DataverseClient(
        replace(settings, suppress_flows=True, bypass_logic=("CustomSync",), detect_duplicates=True)
    )
    assert client.upsert_many(kit.contacts, [kit.row(1)])[0].outcome == "acknowledged"
    assert client.update_existing(kit.contacts, [kit.row(1)])[0].outcome == "acknowledged"
    assert client.delete_many(kit.contacts, [kit.row(1)["contactid"]])[0].outcome == "acknowledged"
