"""The bare CRM: what it keeps of bulk calls and batches, and that a marked row refuses its whole bulk call."""

import orjson
import pytest

from benchmarks.bare_crm import API, REFUSED_CONTACT, BareCrm, Work
from sandbox.dataverse.messages import Answer

UPSERT = f"{API}contacts/Microsoft.Dynamics.CRM.UpsertMultiple"


@pytest.fixture
def crm() -> BareCrm:
    return BareCrm()


def upsert(crm: BareCrm, **addresses: str) -> Answer:
    targets = [{"@odata.id": f"contacts({key})", "emailaddress1": address} for key, address in addresses.items()]
    return crm.answer(Work("POST", UPSERT, "", "application/json", orjson.dumps({"Targets": targets})))


def patch(crm: BareCrm, etag: str) -> bytes:
    head = b"--b\r\nContent-Type: application/http\r\n\r\n"
    line = f"PATCH {API}contacts(a) HTTP/1.1\r\nIf-Match: {etag}\r\n\r\n".encode()
    body = head + line + b'{"donotbulkemail":false}\r\n--b--\r\n'
    return crm.answer(Work("POST", f"{API}$batch", "", 'multipart/mixed; boundary="b"', body)).body


def read(crm: BareCrm) -> dict[str, str]:
    query = "$select=emailaddress1&$filter=Microsoft.Dynamics.CRM.In(PropertyName='contactid',PropertyValues=['a'])"
    answer = crm.answer(Work("GET", f"{API}contacts", query, "", b""))
    row: dict[str, str] = orjson.loads(answer.body)["value"][0]
    return row


def test_a_bulk_call_keeps_its_rows_and_costs_each_of_them(crm: BareCrm) -> None:
    answer = upsert(crm, a="one@example.org", b="two@example.org")
    assert (answer.status, answer.rows) == (204, 2)
    assert set(crm.rows["contacts"]) == {"a", "b"}


def test_one_marked_row_refuses_the_whole_call_without_naming_itself(crm: BareCrm) -> None:
    answer = upsert(crm, a="one@example.org", b=f"{REFUSED_CONTACT}two@example.org")
    assert answer.status == 400
    assert b"two" not in answer.body
    assert not crm.rows


def test_a_patch_is_taken_of_the_version_that_it_names_only(crm: BareCrm) -> None:
    upsert(crm, a="one@example.org")
    etag = read(crm)["@odata.etag"]
    assert b"204 No Content" in patch(crm, etag)
    assert b"412 Precondition Failed" in patch(crm, etag)
