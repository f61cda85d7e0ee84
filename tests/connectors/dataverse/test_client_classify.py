"""What each status and code means."""

import pytest

from connectors.dataverse.classify import Verdict, classify

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


@pytest.mark.parametrize("status", range(100, 600))
def test_no_error_status_is_ever_taken_for_success(status: int) -> None:
    assert (classify(status, None) is Verdict.DONE) == (200 <= status < 300 or status == 304)
