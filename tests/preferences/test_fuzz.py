"""Whatever is sent to any address of the service, it answers, and never with an error of its own."""

import json

import hypothesis
import requests
import schemathesis
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.preferences.people import AINO, House, subscribed
from tests.sizes import sized


def test_no_request_that_the_api_describes_is_a_server_error(house: House) -> None:
    house.reset(*subscribed(AINO))
    schema = schemathesis.openapi.from_url(f"{house.url}/openapi.json")
    operations = [result.ok() for result in schema.get_all_operations()]
    assert {operation.path for operation in operations} >= {"/p/{token}", "/own", "/hooks/{feed}", "/consent/check"}
    for operation in operations:

        @given(case=operation.as_strategy())
        @settings(
            max_examples=sized(4, 500),
            deadline=None,
            derandomize=True,
            database=None,
            suppress_health_check=list(hypothesis.HealthCheck),
        )
        def answered(case: schemathesis.Case) -> None:
            status = case.call(allow_redirects=False).status_code
            assert status < 500, (case.method, case.path, status)

        answered()


# Seeds that once were, or nearly were, an error: kept, whatever else is drawn.
BODIES = [
    b"",
    b"topic",
    b"topic=" + b"a" * 9000,
    b"\xff\xfe",
    b"topic=%ff",
    b"a=1&" * 60,
    b"[1",
    b'{"a": "\\ud800"}',
    b"%00=%00",
]


def test_bodies_of_any_bytes_are_answered(house: House) -> None:
    house.reset(*subscribed(AINO))
    house.enter()
    token, form = house.token(), house.form()
    paths = [f"/p/{token}/topic", f"/one-click/{token}", "/ask", "/own/topics", "/own/name", "/own/address", "/hooks/x"]

    @given(st.sampled_from(paths), st.binary(max_size=300))
    @settings(max_examples=sized(60, 5_000), deadline=None, derandomize=True, database=None)
    def answered(path: str, body: bytes) -> None:
        said = house.post(path, data=body + (b"&form=" + form.encode() if path.startswith("/own") else b""))
        assert said.status_code < 500, (path, body)

    for path in paths:
        for body in BODIES:
            answered = example(path, body)(answered)
    answered()


@given(st.text(max_size=80))
@example("../../etc/passwd")
@example("%2e%2e%2f")
@example("\x00")
@example("a" * 4000)
@settings(
    max_examples=sized(40, 5_000),
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture],
)
def test_tokens_of_any_text_are_answered_and_refused(one_house: House, token: str) -> None:
    quoted = requests.utils.quote(token, safe="")
    for path in (f"/p/{quoted}", f"/one-click/{quoted}", f"/enter/{quoted}"):
        answer = requests.get(one_house.url + path, timeout=30)
        assert answer.status_code == 404, path
    question = json.dumps({"contact_point": token, "purpose": token})
    answer = requests.post(f"{one_house.url}/consent/check", data=question.encode(), timeout=30)
    assert answer.status_code in (401, 422)
