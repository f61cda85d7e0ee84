"""Requests as they are built and answers as they are read, without a network."""

import json
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal

import pytest

from connectors.dataverse import TableName, odata
from connectors.dataverse.contract import canonical_id, row_ids
from connectors.dataverse.odata import Answer
from schemas.errors import CrmRowRefused

CONTACTS = TableName("contacts", "contact", "contactid")
ID = "0f0e0d0c-0b0a-4908-8706-050403020100"


def test_upsert_target_has_the_key_in_its_address_and_not_in_its_body() -> None:
    target = json.loads(odata.upsert_target(CONTACTS, {"contactid": ID.upper(), "donotbulkemail": False}))
    assert target == {
        "donotbulkemail": False,
        "@odata.type": "Microsoft.Dynamics.CRM.contact",
        "@odata.id": f"contacts({ID})",
    }


def test_upsert_multiple_posts_all_targets_to_the_collection() -> None:
    request = odata.upsert_multiple(CONTACTS, [b'{"a":1}', b'{"a":2}'])
    assert (request.method, request.target) == ("POST", "contacts/Microsoft.Dynamics.CRM.UpsertMultiple")
    assert json.loads(request.body or b"") == {"Targets": [{"a": 1}, {"a": 2}]}


def test_update_carries_its_etag_and_leaves_the_key_out_of_the_body() -> None:
    request = odata.update(CONTACTS, {"contactid": ID, "jobtitle": None}, if_match='W/"12"')
    assert request.target == f"contacts({ID})"
    assert ("If-Match", 'W/"12"') in request.headers
    assert json.loads(request.body or b"") == {"jobtitle": None}


@pytest.mark.parametrize("etag", ["", 'W/"1"\r\nX-Evil: 1', 'W/"ä"'])
def test_an_etag_that_would_break_the_header_is_refused(etag: str) -> None:
    with pytest.raises(CrmRowRefused):
        odata.update(CONTACTS, {"contactid": ID}, if_match=etag)


def test_query_values_are_percent_encoded_once() -> None:
    request = odata.read(
        "contacts", {"$select": "a,b", "$filter": "emailaddress1 eq 'o''x+y&z#@example.org'"}, label="GET"
    )
    assert request.target == (
        "contacts?$select=a,b&$filter=emailaddress1%20eq%20%27o%27%27x%2By%26z%23%40example.org%27"
    )


def test_a_label_never_shows_key_or_query() -> None:
    request = odata.update(CONTACTS, {"contactid": ID}, if_match="*")
    assert request.label == "PATCH contacts"


def test_in_filter_doubles_single_quotes() -> None:
    assert odata.in_filter("name", ["a", "o'b"]) == (
        "Microsoft.Dynamics.CRM.In(PropertyName='name',PropertyValues=['a','o''b'])"
    )


def test_values_are_written_as_the_server_reads_them() -> None:
    body = odata.encode_body(
        {
            "no": False,
            "zero": 0,
            "moment": datetime(2026, 3, 29, 3, 30, 1, 999, tzinfo=timezone(timedelta(hours=3))),
            "day": date(2026, 3, 29),
            "money": Decimal("10.10"),
            "clear": None,
        }
    )
    assert body == (
        b'{"no":false,"zero":0,"moment":"2026-03-29T03:30:01+03:00","day":"2026-03-29","money":10.10,"clear":null}'
    )


def test_a_utc_moment_ends_in_z_and_has_no_fraction() -> None:
    assert odata.encode_body({"at": datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC)}) == b'{"at":"2026-01-02T03:04:05Z"}'


@pytest.mark.parametrize("value", [float("nan"), float("inf"), [float("nan")], "\ud800", object(), Decimal("NaN")])
def test_what_json_cannot_carry_is_refused_without_its_value(value: object) -> None:
    with pytest.raises(CrmRowRefused) as caught:
        odata.encode_body({"column": value})
    assert caught.value.__cause__ is None
    assert "column" not in str(caught.value).replace("leave the column out", "")


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("0x8005F103", "0x8005f103"),
        ("-2147204784", "0x80044150"),
        (-2147204783, "0x80044151"),
        ("0x0", "0x0"),
        ("", ""),
        ("Invalid_Client", "invalid_client"),
        ("maija@example.org", "unreadable"),
        ("A record of Maija", "unreadable"),
        ("1" * 41, "unreadable"),
        ("-" * 5, "-----"),
    ],
)
def test_codes_are_one_spelling(given: object, expected: str) -> None:
    assert odata.normalise_code(given) == expected


@pytest.mark.parametrize("body", [b"", b"<html>503</html>", b'{"error"', b"[]", b"null", b'{"error":"x"}'])
def test_an_error_that_is_no_json_has_no_code(body: bytes) -> None:
    assert Answer(503, {}, body).error_code is None


def test_request_id_is_the_servers_before_ours() -> None:
    both = Answer(400, {"X-MS-Client-Request-Id": "ours", "req_id": "theirs"})
    assert both.request_id == "theirs"
    assert Answer(400, {"x-ms-client-request-id": "ours"}).request_id == "ours"


@pytest.mark.parametrize(("header", "expected"), [("52", 52), ("0", 1), ("-1", None), ("many", None)])
def test_parallelism_hint_is_read_only_where_it_is_a_number(header: str, expected: int | None) -> None:
    assert Answer(200, {"x-ms-dop-hint": header}).dop_hint == expected


def test_ids_are_lower_case_guids() -> None:
    assert canonical_id("{" + ID.upper() + "}") == ID


@pytest.mark.parametrize("value", [None, "", "x@example.org", "contacts(1)"])
def test_what_is_no_guid_is_refused(value: object) -> None:
    with pytest.raises(CrmRowRefused):
        canonical_id(value)


def test_one_row_twice_is_refused_whatever_its_spelling() -> None:
    with pytest.raises(CrmRowRefused):
        row_ids(CONTACTS, [{"contactid": ID}, {"contactid": ID.upper()}])


@pytest.mark.parametrize("name", ["contacts(1)", "contacts?x", "", "con tacts"])
def test_a_table_name_that_would_change_a_url_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="letters"):
        TableName(name, "contact", "contactid")
