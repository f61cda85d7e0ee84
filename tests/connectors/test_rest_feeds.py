"""REST services by mapping alone: letting in, turning pages, windows, records in depth, limits, and where none may lead us."""

import base64
from collections.abc import Callable
from typing import Any

import pytest
from pydantic import ValidationError

from connectors.decoders import decode
from connectors.fetching import HttpSettings
from connectors.rest_feeds import RestRecords, RestSettings, refuse_unsafe_host
from connectors.rest_pages import within
from schemas.errors import ConfigurationError, MappingError, SourceError, SourceUnavailable
from schemas.mappings import RECEIVED_AT, Mapping
from schemas.records import ReceivedBatch
from schemas.rest import RestShape
from tests.connectors.http_stub import Answer, Asked, Stub, stub_server
from tests.feeds import NOW, WINDOW, make_consent, make_mapping

AT = "2026-11-20T10:00:00+02:00"
SECRETS = {"SHOP_TOKEN": "t-1", "SHOP_USER": "reader", "SHOP_CLIENT": "c-1"}
Respond = Callable[[Asked], Answer]


def record(number: int, *, updated: str = AT, **more: Any) -> dict[str, Any]:
    return {"id": number, "updated": updated, "customer": {"email": f"p{number}@example.org", "news": "yes"}, **more}


ROWS = [record(n) for n in range(5)]


def feed(base_url: str = "http://127.0.0.1:1", *, changes: dict[str, Any] | None = None, **rest: Any) -> Mapping:
    return make_mapping(
        file=None,
        feed="shop",
        rest={"base_url": base_url, "path": "v1/orders", "records": "orders", **rest},
        key=["id"],
        submitted_at={"column": "updated"},
        fields={"email": {"column": "customer.email"}},
        consents=[make_consent(column="customer.news", grants=["yes"], refuses=["no"])],
        **(changes or {}),
    )


def pull(respond: Respond, *, changes: dict[str, Any] | None = None, **rest: Any) -> tuple[list[ReceivedBatch], Stub]:
    with stub_server(respond) as stub:
        mapping = feed(stub.url, changes=changes, **{k: _placed(v, stub.url) for k, v in rest.items()})
        return list(connector().iter_batches(mapping, WINDOW, now=NOW)), stub


def _placed(value: Any, url: str) -> Any:
    if isinstance(value, dict):
        return {name: _placed(each, url) for name, each in value.items()}
    return value.replace("{url}", url) if isinstance(value, str) else value


def connector(**http: Any) -> RestRecords:
    return RestRecords(RestSettings(SECRETS, http=HttpSettings(sleep=lambda _s: None, attempts=2, **http)))


def addresses(batches: list[ReceivedBatch]) -> list[str]:
    [batch] = batches
    return decode(batch.media_type, batch.payload, feed())["customer.email"].tolist()


EVERYBODY = [f"p{n}@example.org" for n in range(5)]


def by_page(asked: Asked) -> Answer:
    size, page = int(asked.query["per_page"]), int(asked.query["page"]) - 1
    return Answer({"orders": ROWS[page * size : (page + 1) * size]})


def by_offset(asked: Asked) -> Answer:
    start = int(asked.query["skip"])
    return Answer({"orders": ROWS[start : start + 2]})


def by_cursor(asked: Asked) -> Answer:
    start = int(asked.query.get("after", "0"))
    return Answer({"orders": ROWS[start : start + 2], "meta": {"next": str(start + 2) if start < 4 else None}})


def by_next_url(asked: Asked) -> Answer:
    start = int(asked.query.get("from", "0"))
    following = f"/v1/orders?from={start + 2}" if start < 4 else None
    return Answer({"orders": ROWS[start : start + 2], "links": {"next": following}})


def by_link(asked: Asked) -> Answer:
    start = int(asked.query.get("from", "0"))
    links = '</v1/orders?from=0>; rel="first"' + (f', </v1/orders?from={start + 2}>; rel="next"' if start < 4 else "")
    return Answer({"orders": ROWS[start : start + 2]}, headers={"Link": links})


PAGINGS: list[tuple[Respond, dict[str, Any]]] = [
    (by_page, {"kind": "page", "param": "page", "size_param": "per_page", "page_rows": 2, "first": 1}),
    (by_offset, {"kind": "offset", "param": "skip"}),
    (by_cursor, {"kind": "cursor", "param": "after", "next_path": "meta.next"}),
    (by_next_url, {"kind": "next_url", "next_path": "links.next"}),
    (by_link, {"kind": "link"}),
    (lambda _: Answer({"orders": ROWS}), {"kind": "none"}),
    (lambda _: Answer({"orders": ROWS}), {"kind": "page", "param": "page"}),
]


@pytest.mark.parametrize(("respond", "paging"), PAGINGS)
def test_all_pages_are_read_once_each(respond: Respond, paging: dict[str, Any]) -> None:
    batches, _ = pull(respond, paging=paging)
    assert addresses(batches) == EVERYBODY


@pytest.mark.parametrize(
    ("auth", "header", "sent"),
    [
        ({"kind": "bearer", "secret": "SHOP_TOKEN"}, "Authorization", "Bearer t-1"),
        ({"kind": "header", "secret": "SHOP_TOKEN", "header": "X-Api-Key"}, "X-Api-Key", "t-1"),
        ({"kind": "header", "secret": "SHOP_TOKEN", "prefix": "Token "}, "Authorization", "Token t-1"),
        (
            {"kind": "basic", "secret": "SHOP_TOKEN", "username": "SHOP_USER"},
            "Authorization",
            "Basic " + base64.b64encode(b"reader:t-1").decode(),
        ),
    ],
)
def test_a_service_lets_us_in_by_what_the_settings_keep(auth: dict[str, Any], header: str, sent: str) -> None:
    _, stub = pull(lambda _: Answer({"orders": ROWS}), auth=auth)
    assert {request.headers[header] for request in stub.asked} == {sent}


@pytest.mark.parametrize("place", ["header", "body"])
def test_a_token_is_fetched_by_client_credentials_and_anew_when_it_has_run_out(place: str) -> None:
    tokens: list[str] = []

    def respond(asked: Asked) -> Answer:
        if asked.path == "/token":
            tokens.append(f"token-{len(tokens)}")
            assert ("client_secret=t-1" in asked.body) == (place == "body")
            return Answer({"access_token": tokens[-1], "token_type": "bearer"})
        if asked.headers["Authorization"] != "Bearer token-1":
            return Answer({}, 401)
        return Answer({"orders": ROWS})

    auth = {"kind": "oauth2", "secret": "SHOP_TOKEN", "client_id": "SHOP_CLIENT", "token_url": "{url}/token"}
    batches, _ = pull(respond, auth={**auth, "credentials_in": place})
    assert addresses(batches) == EVERYBODY
    assert tokens == ["token-0", "token-1"]


@pytest.mark.parametrize(
    ("form", "since", "until"),
    [
        ("iso", "2026-11-17T22:00:00Z", "2026-11-20T22:00:00Z"),
        ("date", "2026-11-17", "2026-11-20"),
        ("unix", "1794952800", "1795212000"),
        ("unix_ms", "1794952800000", "1795212000000"),
    ],
)
def test_the_window_is_asked_for_in_the_services_own_form(form: str, since: str, until: str) -> None:
    window = {"since": "from", "until": "to", "format": form}
    _, stub = pull(lambda _: Answer({"orders": []}), window=window, params={"status": "all"})
    assert stub.asked[0].query == {"status": "all", "from": since, "to": until}


def test_what_changed_outside_the_window_is_left_out_whatever_the_service_gives() -> None:
    old = [record(9, updated="2026-10-01T10:00:00Z"), record(8, updated="2026-11-21T10:00:00Z")]
    batches, _ = pull(lambda _: Answer({"orders": [*old, *ROWS]}))
    assert addresses(batches) == EVERYBODY
    assert batches[0].watermark == "2026-11-20T08:00:00+00:00"
    assert pull(lambda _: Answer({"orders": old}))[0] == []


def test_a_first_load_day_by_day_takes_each_record_on_its_own_day_whatever_form_its_time_has() -> None:
    rows = [
        {"id": n, "updated": 1795161600000 - n * 86_400_000, "customer": {"email": f"p{n}@example.org"}}
        for n in range(9)
    ]
    changes = {
        "submitted_at": {"column": "updated", "formats": ["unix_ms"]},
        "changed_at": {"column": "changed", "formats": ["unix_ms"]},
        "overlap_days": 0,
        "consents": [],
    }
    plain = {**feed().model_dump(mode="json", exclude_none=True), **changes}
    with stub_server(lambda _: Answer({"orders": rows})) as stub:
        mapping = Mapping.model_validate({**plain, "rest": {"base_url": stub.url, "path": "v1", "records": "orders"}})
        [batch] = connector().iter_batches(mapping, WINDOW, now=NOW)
    frame = decode(batch.media_type, batch.payload, mapping)
    assert frame["id"].tolist() == ["0"]
    assert frame[RECEIVED_AT].tolist() == ["2026-11-20T21:59:59.999999+00:00"]


def test_an_order_with_several_attendees_is_a_submission_of_each() -> None:
    order = {
        "id": 1,
        "updated": AT,
        "attendees": [{"no": 1, "email": "a@example.org"}, {"no": 2, "email": "b@example.org"}],
    }
    people = {"column": "attendees", "key": "no", "columns": ["no", "email"]}
    changes = {
        "arrangement": {"items": people},
        "fields": {"email": {"column": "attendees.email"}},
        "consents": [],
    }
    plain = feed().model_dump(mode="json", exclude_none=True)
    mapping = Mapping.model_validate({**plain, **changes})
    [batch] = pull(lambda _: Answer({"orders": [order]}))[0]
    frame = decode(batch.media_type, batch.payload, mapping)
    assert frame["attendees.email"].tolist() == ["a@example.org", "b@example.org"]
    assert frame["id"].tolist() == ["1", "1"]


@pytest.mark.parametrize(
    ("body", "records"),
    [
        (ROWS, "@"),
        ({"data": {"items": ROWS}}, "data.items"),
        ({"events": {"e1": {"people": ROWS[:2]}, "e2": {"people": ROWS[2:]}}}, "events.*.people[]"),
        ({"people": {str(row["id"]): row for row in ROWS}}, "people"),
    ],
)
def test_records_are_found_wherever_they_stand(body: Any, records: str) -> None:
    assert addresses(pull(lambda _: Answer(body), records=records)[0]) == EVERYBODY


@pytest.mark.parametrize(
    ("body", "records"),
    [
        *((body, "orders") for body in ({"orders": "none"}, {"orders": [1]}, {}, {"error": "busy"}, {"orders": None})),
        ({"error": "busy"}, "events.*.people[]"),
    ],
)
def test_an_answer_without_records_names_the_path(body: Any, records: str) -> None:
    with pytest.raises(SourceError, match=r"rest\.records"):
        pull(lambda _: Answer(body), records=records)
    with pytest.raises(MappingError, match="JMESPath"):
        pull(lambda _: Answer(body), records="orders[")


@pytest.mark.parametrize("second", [{}, {"error": "busy"}, None])
def test_a_page_without_its_list_of_records_is_no_end_of_the_pages(second: Any) -> None:
    def respond(asked: Asked) -> Answer:
        return by_page(asked) if asked.query["page"] == "1" else Answer(second)

    with pytest.raises(SourceError, match=r"rest\.records"):
        pull(respond, paging={"kind": "page", "param": "page", "size_param": "per_page", "page_rows": 2, "first": 1})


@pytest.mark.parametrize(
    ("body", "records"),
    [
        ([], "orders"),
        ({"events": []}, "events.*.people[]"),
        ({"orders": []}, "orders"),
        ({}, "orders || `[]`"),
        ({"a.b": []}, '"a.b".orders'),
    ],
)
def test_an_empty_list_as_services_write_it_is_no_record(body: Any, records: str) -> None:
    assert pull(lambda _: Answer(body), records=records)[0] == []


ELSEWHERE = (
    "https://evil.example/v1/orders",
    "http://169.254.169.254/latest/meta-data/",
    "http://127.0.0.1:9/v1/orders",
    "http://user:secret@127.0.0.1/",
    "//evil.example/orders",
    "file:///etc/passwd",
    "http://[::ffff:169.254.169.254]/",
    "gopher://127.0.0.1/",
    "http://127.0.0.1.evil.example/",
    "http://2130706433/",
    "http://[",
    "\\\\evil.example\\orders",
)


@pytest.mark.parametrize("address", ELSEWHERE[:-1])
def test_no_next_address_of_another_host_is_asked(address: str) -> None:
    def respond(_: Asked) -> Answer:
        return Answer({"orders": ROWS, "next": address})

    with pytest.raises(SourceError, match="another host"):
        pull(respond, paging={"kind": "next_url", "next_path": "next"})
    with pytest.raises(SourceError, match="another host"):
        pull(lambda _: Answer({"orders": ROWS}, headers={"Link": f'<{address}>; rel="next"'}), paging={"kind": "link"})


@pytest.mark.parametrize("address", ELSEWHERE)
def test_only_the_base_addresss_own_host_is_within(address: str) -> None:
    shape = RestShape(base_url="https://api.example.org/v1", path="orders")
    with pytest.raises(SourceError, match="another host"):
        within(shape, address)
    for own in ("https://api.example.org/v2?page=2", "https://API.example.org:443/"):
        assert within(shape, own) == own


@pytest.mark.parametrize("address", ELSEWHERE[:4])
def test_no_redirect_to_another_host_is_followed(address: str) -> None:
    with pytest.raises(SourceError, match="another host"):
        pull(lambda _: Answer({}, 302, {"Location": address}), auth={"kind": "bearer", "secret": "SHOP_TOKEN"})


def test_a_redirect_within_the_host_is_followed_a_few_times() -> None:
    def respond(asked: Asked) -> Answer:
        return Answer({"orders": ROWS}) if asked.path.endswith("/") else Answer({}, 301, {"Location": "/v1/orders/"})

    assert addresses(pull(respond)[0]) == EVERYBODY
    with pytest.raises(SourceError, match="redirects again"):
        pull(lambda _: Answer({}, 302, {"Location": "/v1/again"}))


@pytest.mark.parametrize(
    "base_url",
    [
        *(
            "http://api.example.org/",
            "ftp://api.example.org/",
            "https://",
            "https://u:p@api.example.org/",
            "api.example.org",
        ),
        *("https://api.example.org/?key=1", "https://api.example.org/#x", "https://api.example.org:port/"),
        *("http://169.254.169.254/", "http://127.0.0.1.evil.example/", "http://0.0.0.0/", "file:///etc/passwd"),
    ],
)
def test_a_base_address_that_is_not_safe_is_refused_in_the_mapping(base_url: str) -> None:
    with pytest.raises(ValidationError):
        feed(base_url)


@pytest.mark.parametrize(
    "path", ["/orders", "../admin", "v1/../../admin", "https://evil.example", "//evil.example", "a\\b"]
)
def test_a_path_stays_below_the_base_address(path: str) -> None:
    with pytest.raises(ValidationError):
        feed(path=path)


@pytest.mark.parametrize("host", ["169.254.169.254", "[fe80::1]", "0.0.0.0", "[::ffff:127.0.0.1]", "127.0.0.2"])
def test_a_host_that_leads_to_this_machine_or_its_link_is_not_asked(host: str) -> None:
    with pytest.raises(SourceError, match="this machine"):
        refuse_unsafe_host(f"https://{host}/")


def test_an_answer_or_a_pull_beyond_its_limit_is_let_go() -> None:
    large = {"orders": [record(1, note="x" * (1 << 20))]}
    with pytest.raises(SourceError, match="larger than"):
        pull(lambda _: Answer(large), most_mb_an_answer=1)
    counter = iter(range(10_000))

    def endless(_: Asked) -> Answer:
        return Answer({"orders": [record(next(counter))]})

    with pytest.raises(SourceError, match="more than"):
        pull(endless, paging={"kind": "page", "param": "page", "most_pages": 3})
    with pytest.raises(SourceError, match="more than"):
        pull(
            lambda _: Answer({"orders": [record(next(counter), note="x" * (1 << 19))]}),
            paging={"kind": "page", "param": "page"},
            most_mb=1,
        )


def test_a_cursor_or_next_address_that_stands_still_ends_the_pull_with_an_error() -> None:
    with pytest.raises(SourceError, match="same cursor"):
        pull(
            lambda _: Answer({"orders": ROWS, "next": "c"}),
            paging={"kind": "cursor", "param": "after", "next_path": "next"},
        )
    with pytest.raises(SourceError, match="same page"):
        pull(
            lambda asked: Answer({"orders": ROWS, "next": "/v1/orders?p=2"}),
            paging={"kind": "next_url", "next_path": "next"},
        )


def test_the_services_pace_is_kept() -> None:
    waits: list[float] = []
    times = iter([0.0, 0.1, 0.2, 0.3, 0.4])
    with stub_server(by_offset) as stub:
        http = HttpSettings(sleep=waits.append, attempts=1)
        settings = RestSettings(SECRETS, http=http, clock=lambda: next(times))
        mapping = feed(stub.url, paging={"kind": "offset", "param": "skip"}, requests_per_s=2)
        list(RestRecords(settings).iter_batches(mapping, WINDOW, now=NOW))
    assert waits == pytest.approx([0.4, 0.8, 1.2])


def test_a_busy_service_is_asked_again_and_a_cut_answer_is_never_taken() -> None:
    answers = iter([Answer({}, 429, {"Retry-After": "1"}), Answer({"orders": ROWS})])
    assert addresses(pull(lambda _: next(answers))[0]) == EVERYBODY
    with pytest.raises(SourceUnavailable):
        pull(lambda _: Answer({"orders": ROWS}, cut=10))


def test_a_secret_that_is_not_set_is_named_and_no_error_tells_one() -> None:
    with pytest.raises(ConfigurationError, match="INTAKE_REST_NOT_SET"):
        pull(lambda _: Answer({}), auth={"kind": "bearer", "secret": "NOT_SET"})
    with pytest.raises(SourceError) as refused:
        pull(
            lambda _: Answer({}, 403), auth={"kind": "bearer", "secret": "SHOP_TOKEN"}, params={"q": "aino@example.org"}
        )
    assert "t-1" not in str(refused.value)
    assert "aino" not in str(refused.value)


@pytest.mark.parametrize("headers", [{"Authorization": "Bearer x"}, {"cookie": "a=b"}])
def test_credentials_do_not_belong_into_a_mapping(headers: dict[str, str]) -> None:
    with pytest.raises(ValidationError, match="settings"):
        feed(headers=headers)
    with pytest.raises(ValidationError):
        feed(auth={"kind": "bearer", "secret": "a value, not a name"})


@pytest.mark.parametrize(
    "auth", [{"kind": "basic", "secret": "A_B"}, {"kind": "oauth2", "secret": "A_B"}, {"kind": "bearer"}]
)
def test_an_incomplete_way_in_is_refused_in_the_mapping(auth: dict[str, Any]) -> None:
    with pytest.raises(ValidationError, match="needs"):
        feed(auth=auth)
