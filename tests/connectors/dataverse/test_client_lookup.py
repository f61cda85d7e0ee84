"""Looking rows up by an address: by the environment's own collation, with no address in a URL, through lost answers."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from connectors.dataverse import DataverseClient, DataverseSettings
from sandbox.dataverse.server import RunningEmulator
from schemas.errors import CrmMisconfigured, CrmUnavailable


def found(crm: DataverseClient, kit: Any, *addresses: str) -> list[str]:
    rows = crm.find_rows(kit.contacts, "emailaddress1", addresses, ["firstname"])
    return sorted(str(row["firstname"]) for row in rows)


@pytest.fixture
def known(settings: DataverseSettings, emulator: RunningEmulator) -> Iterator[DataverseClient]:
    """A client that does not wait, of a CRM with 130 contacts."""
    rows = {"contacts": [{"firstname": f"n{n}", "emailaddress1": f"o'n{n}+x@example.org"} for n in range(130)]}
    emulator.control.seed(rows)
    emulator.control.clear_requests()
    client = DataverseClient(settings, sleep=lambda _seconds: None)
    yield client
    client.close()


def test_rows_are_found_whatever_the_case_and_the_signs(known: DataverseClient, kit: Any) -> None:
    assert found(known, kit, "O'N7+X@EXAMPLE.ORG", "o'n9+x@example.org", "nobody@example.org") == ["n7", "n9"]
    assert found(known, kit) == []


def test_many_addresses_take_few_requests_and_none_is_in_a_url(
    known: DataverseClient, emulator: RunningEmulator, kit: Any
) -> None:
    assert len(found(known, kit, *(f"o'n{n}+x@example.org" for n in range(130)))) == 130
    asked = [entry for entry in emulator.control.requests() if "/token" not in entry["path"]]
    assert [entry["path"].rpartition("/")[2] for entry in asked] == ["$batch"]
    assert "example.org" not in f"{asked[0]['path']} {asked[0].get('query')}"


def test_a_lost_answer_is_asked_for_again(known: DataverseClient, emulator: RunningEmulator, kit: Any) -> None:
    emulator.control.faults({"kind": "cut", "path": r"\$batch", "after_commit": True})
    assert found(known, kit, "o'n7+x@example.org") == ["n7"]
    assert list(emulator.control.fault_hits().values()) == [1]


def test_a_crm_that_never_answers_is_unavailable(known: DataverseClient, emulator: RunningEmulator, kit: Any) -> None:
    emulator.control.faults({"kind": "error", "path": r"\$batch", "times": None})
    with pytest.raises(CrmUnavailable, match="look-up in contacts failed"):
        found(known, kit, "o'n7+x@example.org")


def test_a_column_that_is_not_there_is_the_configurations_trouble(known: DataverseClient, kit: Any) -> None:
    with pytest.raises(CrmMisconfigured):
        list(known.find_rows(kit.contacts, "nosuchcolumn", ["a@example.org"], []))


ADDRESSES = [f"n{n}@example.org" for n in range(130)]


def some_rows(*names: str) -> tuple[int, dict[str, str], bytes]:
    """The answer to one read of a batch."""
    return 200, {}, json.dumps({"value": [{"firstname": name} for name in names]}).encode()


def test_only_throttled_reads_are_asked_again_and_not_inside_their_retry_after(
    client: DataverseClient, script: Any, kit: Any, manual_clock: Any
) -> None:
    throttled = kit.error(429, "0x80072322", **{"Retry-After": "30"})
    came_at: list[float] = []
    answers = [kit.answer_parts(some_rows("a"), throttled, some_rows("c")), *[kit.answer_parts(throttled)] * 5]
    answers.append(kit.answer_parts(some_rows("b")))

    def reply(seen: Any) -> Any:
        came_at.append(manual_clock.now)
        return answers[len(came_at) - 1]

    script.reply = reply
    assert found(client, kit, *ADDRESSES) == ["a", "b", "c"]
    assert [len(kit.operations_in(seen)) for seen in script.seen] == [3, 1, 1, 1, 1, 1, 1]
    assert came_at == [1000.0 + 30 * n for n in range(7)]


def test_reads_that_are_throttled_for_ever_end_at_the_deadline(
    client: DataverseClient, script: Any, kit: Any, manual_clock: Any
) -> None:
    script.answer_in_turn(kit.answer_parts(kit.error(429, "0x80072322", **{"Retry-After": "100"})))
    with pytest.raises(CrmUnavailable) as caught:
        found(client, kit, *ADDRESSES[:1])
    assert caught.value.status == 429
    assert sum(manual_clock.slept) <= 900


def test_of_reads_that_failed_or_were_cut_only_those_are_asked_again_a_few_times(
    client: DataverseClient, script: Any, kit: Any
) -> None:
    failed = kit.error(500, None)
    script.answer_in_turn(
        kit.answer_parts(some_rows("a"), failed, some_rows()), kit.answer_parts(some_rows("b"), some_rows("x")), "cut",
        kit.answer_parts(some_rows("b")),
    )  # fmt: skip
    assert found(client, kit, *ADDRESSES) == ["a", "b"]
    assert [len(kit.operations_in(seen)) for seen in script.seen] == [3, 1, 1, 1]
    script.answer_in_turn(kit.answer_parts(some_rows("a"), failed, some_rows()), kit.answer_parts(failed))
    script.seen.clear()
    with pytest.raises(CrmUnavailable, match="failed 4 times"):
        found(client, kit, *ADDRESSES)
    assert len(script.seen) == 4
