"""What each status and code means."""

import pytest

from connectors.dataverse.classify import OUTCOMES, Verdict, classify, is_vague, outcome_of, verdict_of
from connectors.dataverse.odata import Answer

TABLE = [
    (200, None, Verdict.DONE),
    (204, None, Verdict.DONE),
    (304, None, Verdict.DONE),
    (302, None, Verdict.MISCONFIGURED),
    (429, "0x80072322", Verdict.THROTTLED),
    (429, "0x80072321", Verdict.THROTTLED),
    (429, "0x80072326", Verdict.THROTTLED),
    (429, None, Verdict.THROTTLED),
    (400, "0x8005f103", Verdict.THROTTLED),
    (401, None, Verdict.UNAUTHENTICATED),
    (403, "0x80072560", Verdict.MISCONFIGURED),
    (403, "0x80040220", Verdict.MISCONFIGURED),
    (403, None, Verdict.MISCONFIGURED),
    (404, "0x80040217", Verdict.RECONCILE),
    (404, "0x80060891", Verdict.RECONCILE),
    (404, "0x8006088a", Verdict.MISCONFIGURED),
    (404, None, Verdict.MISCONFIGURED),
    (405, None, Verdict.MISCONFIGURED),
    (405, "0x80040227", Verdict.RECONCILE),
    (412, "0x80060892", Verdict.RECONCILE),
    (412, "0x80060882", Verdict.RECONCILE),
    (412, None, Verdict.RECONCILE),
    (412, "0x80040237", Verdict.RACED),
    (412, "0x80040333", Verdict.RECONCILE),
    (500, "0x80040333", Verdict.RECONCILE),
    (400, "0x80044331", Verdict.REFUSED),
    (400, "0x8004431a", Verdict.REFUSED),
    (400, "0x80048408", Verdict.REFUSED),
    (400, "0x80040265", Verdict.REFUSED),
    (400, "0x0", Verdict.MISCONFIGURED),
    (400, "", Verdict.MISCONFIGURED),
    (400, None, Verdict.MISCONFIGURED),
    (400, "0x80048d19", Verdict.MISCONFIGURED),
    (400, "0x80040216", Verdict.MISCONFIGURED),
    (400, "0x80044150", Verdict.ROLLED_BACK),
    (500, "0x80044150", Verdict.ROLLED_BACK),
    (500, "0x80040255", Verdict.ROLLED_BACK),
    (500, "0x80044151", Verdict.TOO_LARGE),
    (413, None, Verdict.TOO_LARGE),
    (400, "0x80044352", Verdict.EXPIRED),
    (410, None, Verdict.EXPIRED),
    (400, "0x80040800", Verdict.NO_BULK),
    (500, None, Verdict.UNCERTAIN),
    (500, "0x0", Verdict.UNCERTAIN),
    (500, "0x80040216", Verdict.UNCERTAIN),
    (502, None, Verdict.UNCERTAIN),
    (503, "0x80044331", Verdict.UNCERTAIN),
    (504, None, Verdict.UNCERTAIN),
    (408, None, Verdict.UNCERTAIN),
    (501, None, Verdict.MISCONFIGURED),
]


@pytest.mark.parametrize(("status", "code", "verdict"), TABLE)
def test_status_and_code_decide(status: int, code: str | None, verdict: Verdict) -> None:
    assert classify(status, code) is verdict


# A code means the same under whatever status the server chose for it, unless the status decides.
BY_CODE = [
    ("0x80072321", Verdict.THROTTLED),
    ("0x80072322", Verdict.THROTTLED),
    ("0x80072326", Verdict.THROTTLED),
    ("0x8005f103", Verdict.THROTTLED),
    ("0x80072560", Verdict.MISCONFIGURED),
    ("0x80040220", Verdict.MISCONFIGURED),
    ("0x80048306", Verdict.MISCONFIGURED),
    ("0x80040217", Verdict.RECONCILE),
    ("0x8006088a", Verdict.MISCONFIGURED),
    ("0x80060891", Verdict.RECONCILE),
    ("0x80040227", Verdict.RECONCILE),
    ("0x80060892", Verdict.RECONCILE),
    ("0x80073002", Verdict.RECONCILE),
    ("0x80060882", Verdict.RECONCILE),
    ("0x80040333", Verdict.RECONCILE),
    ("0x80040237", Verdict.RACED),
    ("0x80044331", Verdict.REFUSED),
    ("0x8004431a", Verdict.REFUSED),
    ("0x80040203", Verdict.REFUSED),
    ("0x80048408", Verdict.REFUSED),
    ("0x80040251", Verdict.REFUSED),
    ("0x80044150", Verdict.ROLLED_BACK),
    ("0x80040255", Verdict.ROLLED_BACK),
    ("0x80044151", Verdict.TOO_LARGE),
    ("0x80044352", Verdict.EXPIRED),
    ("0x80040800", Verdict.NO_BULK),
]


@pytest.mark.parametrize(("code", "verdict"), BY_CODE)
def test_a_code_decides_under_any_other_status(code: str, verdict: Verdict) -> None:
    assert [classify(status, code) for status in (400, 404, 409, 412, 500)] == [verdict] * 5


@pytest.mark.parametrize(
    ("status", "verdict"),
    [
        (401, Verdict.UNAUTHENTICATED),
        (403, Verdict.MISCONFIGURED),
        (429, Verdict.THROTTLED),
        (502, Verdict.UNCERTAIN),
        (503, Verdict.UNCERTAIN),
        (504, Verdict.UNCERTAIN),
    ],
)
@pytest.mark.parametrize("code", ["0x80044331", "0x80040217", "0x80044150", "0x80072322"])
def test_no_code_changes_what_these_statuses_mean(status: int, verdict: Verdict, code: str) -> None:
    assert classify(status, code) is verdict


@pytest.mark.parametrize(
    ("first", "last", "verdict"),
    [
        (100, 199, Verdict.UNCERTAIN),
        (200, 299, Verdict.DONE),
        (300, 303, Verdict.MISCONFIGURED),
        (305, 399, Verdict.MISCONFIGURED),
        (402, 407, Verdict.MISCONFIGURED),
        (414, 428, Verdict.MISCONFIGURED),
        (430, 499, Verdict.MISCONFIGURED),
        (500, 500, Verdict.UNCERTAIN),
        (502, 599, Verdict.UNCERTAIN),
        (409, 409, Verdict.RECONCILE),
    ],
)
def test_a_status_alone_decides_where_no_code_does(first: int, last: int, verdict: Verdict) -> None:
    assert {classify(status, "0x80049999") for status in range(first, last + 1)} == {verdict}


@pytest.mark.parametrize(
    ("status", "code", "outcome"),
    [
        (204, None, "acknowledged"),
        (429, None, "unresolved"),
        (401, None, "unresolved"),
        (500, "0x80044150", "unresolved"),
        (500, "0x80044151", "unresolved"),
        (503, None, "unresolved"),
        (400, "0x80044331", "refused"),
        (403, "0x80040220", "refused"),
        (400, "0x80040800", "refused"),
        (413, None, "refused"),
        (404, "0x80040217", "conflict"),
        (412, "0x80040237", "conflict"),
        (410, None, "conflict"),
    ],
)
def test_each_verdict_has_one_of_three_classes_as_a_rows_outcome(status: int, code: str | None, outcome: str) -> None:
    body = f'{{"error":{{"code":"{code}","message":"m"}}}}'.encode() if code else b""
    assert outcome_of(Answer(status, {}, body)) == outcome


def test_every_verdict_has_a_class() -> None:
    assert set(OUTCOMES) == set(Verdict)


def test_a_body_of_a_success_is_not_looked_at_for_a_code() -> None:
    error = b'{"error":{"code":"0x80044331","message":"m"}}'
    assert verdict_of(Answer(200, {}, error)) is verdict_of(Answer(299, {}, error)) is Verdict.DONE
    assert verdict_of(Answer(300, {}, error)) is Verdict.REFUSED


@pytest.mark.parametrize("status", range(100, 600))
def test_no_error_status_is_ever_taken_for_success(status: int) -> None:
    assert (classify(status, None) is Verdict.DONE) == (200 <= status < 300 or status == 304)


@pytest.mark.parametrize("status", [400, 403, 404, 500])
@pytest.mark.parametrize(
    "body", [b"<html>", b'{"error":{"code":""}}', b'{"error":{"code":"0x80040216"}}', b'{"error":{"code":"0x0"}}']
)
def test_only_a_generic_error_or_a_page_of_something_in_between_may_be_one_rows_trouble(
    status: int, body: bytes
) -> None:
    generic = status == 400 and b"0x0" not in body
    assert is_vague(Answer(status, {}, body)) == (generic or (status == 403 and body == b"<html>"))
