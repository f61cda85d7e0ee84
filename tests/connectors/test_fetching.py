"""Reading over HTTP: what is tried again, for how long, and what no error tells."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from connectors.fetching import HttpReader, HttpSettings, Read, RefusedError
from schemas.errors import ConfigurationError, SourceUnavailable
from tests.connectors.http_stub import Answer, Asked, stub_server


def answers(*given: Answer) -> Iterator[Answer]:
    yield from given
    while True:
        yield given[-1]


def reader(waits: list[float] | None = None, **changes: object) -> HttpReader:
    waited = waits if waits is not None else []
    return HttpReader(HttpSettings(sleep=waited.append, read_timeout_s=2, **changes))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "failure",
    [Answer(status=429), Answer(status=503, body=b"<html>"), Answer(b"{}", cut=10), Answer(b"{not json")],
    ids=["throttled", "down", "cut short", "no JSON"],
)
def test_a_failure_that_may_pass_is_tried_again(failure: Answer) -> None:
    told = answers(failure, failure, Answer({"ok": 1}))
    with stub_server(lambda _asked: next(told)) as stub:
        assert reader().fetch_json(Read(f"{stub.url}/x")) == {"ok": 1}
    assert len(stub.asked) == 3


def test_after_the_last_attempt_the_source_is_unavailable() -> None:
    waits: list[float] = []
    with stub_server(lambda _asked: Answer(status=500)) as stub, pytest.raises(SourceUnavailable) as error:
        reader(waits, attempts=3, backoff_s=1).fetch_json(Read(f"{stub.url}/x"))
    assert len(stub.asked) == 3
    assert waits == [1, 2]
    assert error.value.transient


def test_retry_after_is_heeded_up_to_the_longest_wait() -> None:
    waits: list[float] = []
    told = answers(*[Answer(status=429, headers={"Retry-After": s}) for s in ("7", "9999", "soon")], Answer({}))
    with stub_server(lambda _asked: next(told)) as stub:
        reader(waits, backoff_s=0.5, longest_wait_s=30).fetch_json(Read(f"{stub.url}/x"))
    assert waits == [7, 30, 2]


@pytest.mark.parametrize("status", [302, 400, 401, 403, 404, 410])
def test_a_refusal_is_not_tried_again_and_no_redirect_is_followed(status: int) -> None:
    elsewhere = Answer({}, status, {"Location": "http://192.0.2.1/"})
    with stub_server(lambda _asked: elsewhere) as stub, pytest.raises(RefusedError) as error:
        reader().fetch_json(Read(f"{stub.url}/x"))
    assert len(stub.asked) == 1
    assert error.value.status == status
    assert not error.value.transient


def test_errors_tell_the_place_but_neither_query_nor_credentials() -> None:
    read = Read("http://user:pass@127.0.0.1:9/form", {"email": "aino@example.org"}, {"api-key": "hidden"})
    with pytest.raises(SourceUnavailable) as error:
        reader(attempts=1).fetch_json(read)
    text = str(error.value)
    assert "http://127.0.0.1:9/form" in text
    assert not any(secret in text for secret in ("aino", "pass", "hidden"))
    assert error.value.__cause__ is None


def test_a_netrc_of_the_machine_does_not_replace_the_token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login someone password else\n")
    monkeypatch.setenv("NETRC", str(netrc))
    with stub_server(lambda _asked: Answer({})) as stub:
        reader().fetch_json(Read(f"{stub.url}/x", headers={"Authorization": "Bearer ours"}))
    assert stub.asked[0].headers["Authorization"] == "Bearer ours"


def test_filters_and_credentials_go_in_the_body_and_not_in_the_address() -> None:
    with stub_server(lambda _asked: Answer({})) as stub:
        reader().fetch_json(Read(f"{stub.url}/a", json={"StartDate": "x"}))
        reader().fetch_json(Read(f"{stub.url}/b", form={"password": "p"}))
    assert [(asked.method, asked.body, asked.query) for asked in stub.asked] == [
        ("POST", '{"StartDate": "x"}', {}),
        ("POST", "password=p", {}),
    ]


def test_a_bundle_of_certificates_that_is_not_there_is_a_configuration_error() -> None:
    def never(_asked: Asked) -> Answer:
        raise AssertionError("no request may arrive")

    with stub_server(never) as stub, pytest.raises(ConfigurationError):
        HttpReader(HttpSettings(ca_path="/nonexistent.pem", attempts=1)).fetch_json(
            Read(stub.url.replace("http:", "https:"))
        )
