"""`$batch`: strict form, order and stopping, change sets, references, inner headers."""

from __future__ import annotations

import json
from typing import Any
from uuid import uuid4

import pytest


def part(method: str, url: str, body: Any = None, content_id: int | None = None, **headers: str) -> str:
    lines = ["Content-Type: application/http", "Content-Transfer-Encoding: binary"]
    lines += [] if content_id is None else [f"Content-ID: {content_id}"]
    lines += ["", f"{method} {url} HTTP/1.1", "Content-Type: application/json; type=entry"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", "" if body is None else json.dumps(body)]) + "\r\n"


def joined(parts: list[str], boundary: str) -> str:
    return "".join(f"--{boundary}\r\n{each}" for each in parts) + f"--{boundary}--\r\n"


def change_set(*parts: str) -> str:
    boundary = f"changeset_{uuid4()}"
    return f'Content-Type: multipart/mixed; boundary="{boundary}"\r\n\r\n{joined(list(parts), boundary)}'


def send_batch(api, *parts: str, raw: bytes | None = None, **headers: str):
    boundary = f"batch_{uuid4()}"
    body = joined(list(parts), boundary).encode() if raw is None else raw.replace(b"BOUNDARY", boundary.encode())
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    named["Content-Type"] = f'multipart/mixed; boundary="{boundary}"'
    return api.session.post(f"{api.base}$batch", data=body, headers=named, timeout=30)


def statuses(response) -> list[int]:
    return [int(line.split()[1]) for line in response.text.split("\r\n") if line.startswith("HTTP/1.1 ")]


def test_requests_answer_in_their_order_and_urls_may_be_absolute_or_relative(api):
    known = api.contact()
    response = send_batch(
        api,
        part("PATCH", f"/api/data/v9.2/contacts({uuid4()})", {"firstname": "Aino"}),
        part("GET", f"{api.base}contacts({known})?$select=firstname"),
        part("DELETE", f"contacts({known})"),
    )
    assert response.status_code == 200
    assert statuses(response) == [204, 200, 204]
    assert response.headers["Content-Type"].startswith("multipart/mixed; boundary=batchresponse_")
    assert response.content.endswith(b"--\r\n")


def test_stops_at_the_first_error_with_its_status(api):
    response = send_batch(
        api,
        part("POST", "contacts", {"firstname": "Aino"}),
        part("POST", "contacts", {"nothing": 1}),
        part("POST", "contacts", {"firstname": "Eino"}),
    )
    assert response.status_code == 400
    assert statuses(response) == [204, 400]
    assert "REQ_ID: " in response.text
    assert len(api.control.rows("contacts")) == 1


def test_goes_on_after_errors_when_it_is_preferred(api):
    response = send_batch(
        api,
        part("POST", "contacts", {"nothing": 1}),
        part("POST", "contacts", {"firstname": "Eino"}),
        Prefer="odata.continue-on-error",
    )
    assert response.status_code == 200
    assert statuses(response) == [400, 204]


def test_inner_preconditions_hold_for_their_request_alone(api):
    first, second = api.contact(), api.contact()
    etag = api.get(f"contacts({second})").headers["ETag"]
    response = send_batch(
        api,
        part("PATCH", f"contacts({first})", {"firstname": "X"}, If_Match='W/"1"'),
        part("PATCH", f"contacts({second})", {"firstname": "Y"}, If_Match=etag, Prefer="return=representation"),
        Prefer="odata.continue-on-error",
    )
    assert statuses(response) == [412, 200]
    assert '"firstname":"Y"' in response.text


def test_change_set_is_kept_whole_or_not_at_all(api):
    good = part("POST", "contacts", {"firstname": "Aino"}, 1)
    response = send_batch(api, change_set(good, part("POST", "contacts", {"nothing": 1}, 2)))
    assert response.status_code == 400
    assert statuses(response) == [400]
    assert api.control.rows("contacts") == []
    response = send_batch(api, change_set(good, part("POST", "contacts", {"firstname": "Eino"}, 2)))
    assert statuses(response) == [204, 204]
    assert "changesetresponse_" in response.text
    assert len(api.control.rows("contacts")) == 2


def test_later_requests_of_a_change_set_refer_to_earlier_ones(api):
    response = send_batch(
        api,
        change_set(
            part("POST", "contacts", {"firstname": "Aino"}, 1),
            part("PATCH", "$1", {"jobtitle": "Dean"}, 2),
            part("POST", "incidents", {"title": "Case", "customerid_contact@odata.bind": "$1"}, 3),
        ),
    )
    assert statuses(response) == [204, 204, 204], response.text
    contact = api.control.rows("contacts")[0]
    assert contact["jobtitle"] == "Dean"
    assert api.control.rows("incidents")[0]["_customerid_value"] == contact["contactid"]


def test_reference_to_nothing_is_400(api):
    response = send_batch(api, change_set(part("PATCH", "$1", {"jobtitle": "Dean"}, 2)))
    assert response.status_code == 400
    assert "does not exist in the batch context" in response.text


def test_get_in_a_change_set_is_refused(api):
    assert send_batch(api, change_set(part("GET", "contacts", None, 1))).status_code == 400


def test_batch_in_a_batch_is_refused(api):
    inner = joined([part("POST", "contacts", {"firstname": "Aino"})], "inner")
    lines = ["Content-Type: application/http", "", "POST /api/data/v9.2/$batch HTTP/1.1"]
    nested = "\r\n".join([*lines, "Content-Type: multipart/mixed; boundary=inner", "", inner])
    response = send_batch(api, f"{nested}\r\n")
    assert (response.status_code, statuses(response)) == (400, [400])
    assert api.control.rows("contacts") == []


def test_request_of_a_change_set_needs_its_content_id(api):
    response = send_batch(api, change_set(part("POST", "contacts", {"firstname": "Aino"})))
    assert (response.status_code, api.control.rows("contacts")) == (400, [])


@pytest.mark.parametrize(
    "raw",
    [
        b"--BOUNDARY\nContent-Type: application/http\n\nGET contacts HTTP/1.1\n\n--BOUNDARY--\n",
        b"--BOUNDARY\r\nContent-Type: application/http\r\n\r\nGET contacts HTTP/1.1\r\n\r\n\r\n--BOUNDARY--",
        b"--BOUNDARY\r\nContent-Type: application/http\nX: y\r\n\r\nGET contacts HTTP/1.1\r\n\r\n\r\n--BOUNDARY--\r\n",
        b"--BOUNDARY\r\nContent-Type: application/http\r\n\r\nGET contacts HTTP/1.1\nX:y\r\n\r\n\r\n--BOUNDARY--\r\n",
        b"--BOUNDARY\r\nContent-Type: application/http\r\n\r\nGET contacts HTTP/1.1\r\n\r\n",
        b"",
    ],
)
def test_lines_that_do_not_end_in_crlf_are_refused(api, raw):
    response = send_batch(api, raw=raw)
    assert (response.status_code, response.json()["error"]["code"]) == (400, "0x80048d19")


def test_thousand_requests_are_taken_and_one_more_is_not(api):
    requests = [part("GET", f"contacts({uuid4()})") for _ in range(1001)]
    prefer = {"Prefer": "odata.continue-on-error"}
    assert len(statuses(send_batch(api, *requests[:1000], **prefer))) == 1000
    assert send_batch(api, *requests, **prefer).status_code == 400


def test_log_lists_the_inner_operations_with_their_outcome(api):
    since = api.control.last_sequence()
    row_id = str(uuid4())
    send_batch(
        api,
        part("PATCH", f"contacts({row_id})", {"firstname": "Aino"}, If_None_Match="*"),
        part("POST", "contacts", {"nothing": 1}),
    )
    operations = api.control.requests(since)[0]["operations"]
    assert [(each["method"], each["status"], each["committed"]) for each in operations] == [
        ("PATCH", 204, True),
        ("POST", 400, False),
    ]
    assert operations[0]["path"] == f"contacts({row_id})"
    assert operations[0]["body"] == {"firstname": "Aino"}
    assert operations[0]["headers"]["if-none-match"] == "*"
    assert operations[1]["code"] == "0x0"
