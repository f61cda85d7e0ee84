"""How rows are addressed: the whole matrix of an upsert, keys in URLs that do not get through, URLs that are too long."""

from __future__ import annotations

from itertools import product
from uuid import uuid4

import pytest

KEY = {"SchemaName": "crmi_Source", "KeyAttributes": ["externaluseridentifier"]}
CONDITIONS = {
    "none": {},
    "null": {"If-None-Match": "null"},
    "must miss": {"If-None-Match": "*"},
    "must match": {"If-Match": "*"},
    "this version": {"If-Match": "the etag"},
    "other version": {"If-Match": 'W/"1"'},
}
# By whether the row exists and the precondition: the status without a representation, and with one.
MATRIX = {
    (False, "none"): (204, 201),
    (False, "null"): (204, 201),
    (False, "must miss"): (204, 201),
    (False, "must match"): (404, 404),
    (False, "this version"): (404, 404),
    (False, "other version"): (404, 404),
    (True, "none"): (204, 200),
    (True, "null"): (204, 200),
    (True, "must miss"): (412, 412),
    (True, "must match"): (204, 200),
    (True, "this version"): (204, 200),
    (True, "other version"): (412, 412),
}


@pytest.mark.parametrize(("exists", "condition"), MATRIX)
def test_upsert_answers_by_what_exists_and_what_is_required(api, exists, condition):
    statuses = []
    for prefer in ({}, {"Prefer": "return=representation"}):
        row_id = api.contact() if exists else str(uuid4())
        headers = {**CONDITIONS[condition], **prefer}
        if headers.get("If-Match") == "the etag":
            headers["If-Match"] = api.get(f"contacts({row_id})").headers.get("ETag", 'W/"2"')
        statuses.append(api.send("PATCH", f"contacts({row_id})", {"jobtitle": "Dean"}, **headers).status_code)
        assert ("jobtitle" in str(api.control.rows("contacts"))) == (statuses[-1] < 300)
        api.control.reset()
    assert tuple(statuses) == MATRIX[exists, condition]


def test_every_case_of_the_matrix_is_listed():
    assert set(MATRIX) == set(product((False, True), CONDITIONS))


@pytest.mark.parametrize(("chosen", "status", "code"), [(400, 400, ""), (404, 404, "0x80060891")])
def test_restricted_character_in_a_key_is_reported_in_either_way(api, chosen, status, code):
    api.send("POST", "EntityDefinitions(LogicalName='contact')/Keys", KEY)
    api.control.limits(restricted_key_status=chosen)
    answer = api.get("contacts(externaluseridentifier='a%2Bb')")
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)


@pytest.mark.parametrize(
    ("sent", "meant"), [("a%20b", "a b"), ("o''neil", "o'neil"), ("%C3%A5", "å"), ("a%2Cb", "a,b")]
)
def test_key_is_decoded_once_and_its_quotes_are_halved(api, sent, meant):
    api.send("POST", "EntityDefinitions(LogicalName='contact')/Keys", KEY)
    assert api.send("PATCH", f"contacts(externaluseridentifier='{sent}')", {"jobtitle": "Dean"}).status_code == 204
    assert [row["externaluseridentifier"] for row in api.control.rows("contacts")] == [meant]
    assert api.get(f"contacts(externaluseridentifier='{sent}')").status_code == 200


@pytest.mark.parametrize("sent", ["a%2541", "a+b"])
def test_escape_within_an_escape_and_a_plus_stay_as_they_are_and_are_restricted(api, sent):
    api.send("POST", "EntityDefinitions(LogicalName='contact')/Keys", KEY)
    for meant in ("aA", "a b"):
        api.contact(externaluseridentifier=meant)
    assert api.get(f"contacts(externaluseridentifier='{sent}')").status_code == 400


def test_number_in_a_key_is_bare_and_a_lookup_is_an_id(api):
    contact = api.contact()
    names = ["importsequencenumber", "msevtmgt_contactid"]
    key = {"SchemaName": "crmi_Numbered", "KeyAttributes": names}
    made = api.send("POST", "EntityDefinitions(LogicalName='msevtmgt_eventregistration')/Keys", key)
    assert made.status_code == 204
    place = f"msevtmgt_eventregistrations(importsequencenumber=5,_msevtmgt_contactid_value={contact.upper()})"
    assert api.send("PATCH", place, {"msevtmgt_registrationstatus": "active"}).status_code == 204
    [row] = api.control.rows("msevtmgt_eventregistrations")
    assert (row["importsequencenumber"], row["_msevtmgt_contactid_value"]) == (5, contact)
    assert api.get(place).status_code == 200
    assert api.get(place.replace("=5", "='5'")).json()["error"]["code"] == ""


def test_key_cut_short_by_a_raw_hash_is_a_syntax_error(api):
    api.send("POST", "EntityDefinitions(LogicalName='contact')/Keys", KEY)
    answer = api.get("contacts(externaluseridentifier='a")
    assert answer.status_code == 400
    assert answer.json()["error"]["message"] == "Bad Request - Error in query syntax."


def test_long_url_is_refused_alone_and_taken_in_a_batch(api):
    long = "contacts?$filter=" + " or ".join(f"firstname eq '{'x' * 80}{number}'" for number in range(400))
    line = f"GET /api/data/v9.2/{long.replace(' ', '%20')} HTTP/1.1"
    parts = [
        "--b",
        "Content-Type: application/http",
        "Content-Transfer-Encoding: binary",
        "",
        line,
        "",
        "",
        "--b--",
        "",
    ]
    batch = api.session.post(
        f"{api.base}$batch",
        data="\r\n".join(parts).encode(),
        headers={"Content-Type": "multipart/mixed; boundary=b"},
        timeout=30,
    )
    assert api.get(long).status_code == 414
    assert "HTTP/1.1 200 OK" in batch.text


def test_error_text_may_be_of_another_language_and_its_code_stays(api):
    api.control.limits(messages={"0x80040217": "Raden finns inte."})
    error = api.get(f"contacts({uuid4()})").json()["error"]
    assert error == {"code": "0x80040217", "message": "Raden finns inte."}
