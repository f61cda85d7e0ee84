"""The multipart bodies of $batch, to the byte."""

import pytest

from connectors.dataverse.batch import build_batch, parse_batch
from connectors.dataverse.odata import Answer, Request

PATCH = Request("PATCH", "contacts(1)", "PATCH contacts", (("If-Match", "*"),), b'{"a":1}')
DELETE = Request("DELETE", "contacts(2)", "DELETE contacts")

MIXED = {"Content-Type": 'multipart/mixed; boundary="r"'}
ANSWER = (
    b"--r\r\nContent-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n\r\n"
    b'HTTP/1.1 204 No Content\r\nOData-Version: 4.0\r\nETag: W/"7"\r\n\r\n\r\n'
    b"--r\r\nContent-Type: application/http\r\n\r\n"
    b"HTTP/1.1 412 Precondition Failed\r\nREQ_ID: q-1\r\nContent-Type: application/json\r\n\r\n"
    b'{"error":{"code":"0x80060882","message":"--r is no delimiter here"}}\r\n'
    b"--r--\r\n"
)


def build(*operations: Request) -> Request:
    return build_batch(operations, api_path="/api/data/v9.2/", boundary="b", label="$batch")


def test_batch_is_built_to_the_byte_with_crlf_to_the_end() -> None:
    assert build(PATCH, DELETE).body == (
        b"--b\r\n"
        b"Content-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n\r\n"
        b'PATCH /api/data/v9.2/contacts(1) HTTP/1.1\r\nIf-Match: *\r\n\r\n{"a":1}\r\n'
        b"--b\r\n"
        b"Content-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n\r\n"
        b"DELETE /api/data/v9.2/contacts(2) HTTP/1.1\r\n\r\n\r\n"
        b"--b--\r\n"
    )


def test_batch_asks_the_server_to_go_on_after_an_error() -> None:
    headers = dict(build(PATCH).headers)
    assert headers == {"Content-Type": 'multipart/mixed; boundary="b"', "Prefer": "odata.continue-on-error"}


@pytest.mark.parametrize("count", [0, 1001])
def test_a_batch_takes_one_to_a_thousand_operations(count: int) -> None:
    with pytest.raises(ValueError, match="1000"):
        build(*[DELETE] * count)


def test_parts_come_back_in_order_with_status_headers_and_code() -> None:
    first, second = parse_batch(Answer(200, MIXED, ANSWER))
    assert first is not None and second is not None
    assert (first.status, first.header("etag"), first.body) == (204, 'W/"7"', b"")
    assert (second.status, second.error_code, second.request_id) == (412, "0x80060882", "q-1")


def test_bare_line_feeds_are_read_too() -> None:
    parts = parse_batch(Answer(200, MIXED, ANSWER.replace(b"\r\n", b"\n")))
    assert [part.status for part in parts if part] == [204, 412]


@pytest.mark.parametrize("cut", range(0, len(ANSWER) - 4, 7))
def test_a_cut_answer_never_gives_a_part_that_was_not_whole(cut: int) -> None:
    parts = parse_batch(Answer(200, MIXED, ANSWER[:cut]))
    whole = parse_batch(Answer(200, MIXED, ANSWER))
    assert parts == whole[: len(parts)]
    assert len(parts) < 2 or cut >= ANSWER.rindex(b"--r")


def test_a_part_without_a_status_line_keeps_its_place() -> None:
    body = ANSWER.replace(b"HTTP/1.1 204 No Content", b"nonsense")
    first, second = parse_batch(Answer(200, MIXED, body))
    assert first is None
    assert second is not None and second.status == 412


@pytest.mark.parametrize("content_type", ["application/json", "text/html", "", "multipart/mixed"])
def test_an_answer_that_is_no_multipart_has_no_parts(content_type: str) -> None:
    assert parse_batch(Answer(200, {"Content-Type": content_type}, ANSWER)) == []


def test_what_follows_the_closing_delimiter_is_no_part() -> None:
    parts = parse_batch(Answer(200, MIXED, ANSWER + ANSWER))
    assert [part.status for part in parts if part] == [204, 412]
