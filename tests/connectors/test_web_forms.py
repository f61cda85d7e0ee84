"""Website forms pulled over webform_rest: pages, windows, shapes of an answer, and fields that nobody filled."""

from typing import Any

import pytest

from connectors.decoders import decode
from connectors.fetching import HttpSettings
from connectors.web_forms import WebFormsSettings, WebFormSubmissions
from schemas.errors import SourceError
from schemas.labels import LABEL_OF, label_hash
from schemas.mappings import Mapping
from schemas.records import ReceivedBatch
from tests.connectors.http_stub import Answer, Asked, Stub, stub_server
from tests.feeds import NOW, WINDOW, make_consent, make_mapping

TEN = 1795161600  # 2026-11-20 10:00 in Helsinki (UTC+2)


def form(**changes: Any) -> Mapping:
    plain = {
        "file": None,
        "api": {"resource": "contact", "page_rows": 2},
        "key": ["uuid"],
        "submitted_at": {"column": "completed", "formats": ["unix"]},
        "changed_at": {"column": "changed", "formats": ["unix"]},
        "fields": {"email": {"column": "data.email"}},
        "consents": [make_consent(column="data.newsletter", grants=["1"], refuses=["0"])],
    }
    return make_mapping(**{**plain, **changes})


def submission(number: int, *, changed: int = TEN, **data: Any) -> dict[str, Any]:
    own = {"sid": str(number), "uuid": f"u-{number}", "token": "t", "completed": str(TEN), "changed": str(changed)}
    return {**own, "data": {"email": f"p{number}@example.org", **data}}


class Site:
    """Answers as the website does; `elements` None is a site without that route."""

    def __init__(self, rows: list[Any], *, elements: Any = None, wrapped: bool = False, paged: bool = True) -> None:
        self.rows, self.elements, self.wrapped, self.paged = rows, elements, wrapped, paged

    def __call__(self, asked: Asked) -> Answer:
        if asked.headers.get("api-key") != "k-1":
            return Answer({}, 403)
        if asked.path.endswith("/elements"):
            return Answer(self.elements) if self.elements is not None else Answer({}, 404)
        size, page = int(asked.query["items_per_page"]), int(asked.query["page"])
        rows = self.rows[page * size : (page + 1) * size] if self.paged else self.rows
        return Answer({"submissions": {row["sid"]: row for row in rows}} if self.wrapped else rows)


def connector(stub: Stub, *, api_key: str = "k-1") -> WebFormSubmissions:
    http = HttpSettings(sleep=lambda _seconds: None, attempts=2)
    return WebFormSubmissions(WebFormsSettings(stub.url, api_key, http=http))


def pull(site: Site, mapping: Mapping | None = None) -> list[ReceivedBatch]:
    with stub_server(site) as stub:
        return list(connector(stub).iter_batches(mapping or form(), WINDOW, now=NOW))


@pytest.mark.parametrize(("wrapped", "paged"), [(False, True), (True, True), (False, False)])
def test_all_pages_are_read_once_each(wrapped: bool, paged: bool) -> None:
    rows = [submission(n, newsletter="1") for n in range(5)]
    [batch] = pull(Site(rows, wrapped=wrapped, paged=paged))
    frame = decode(batch.media_type, batch.payload, form())
    assert frame["data.email"].tolist() == [f"p{n}@example.org" for n in range(5)]
    assert batch.watermark == "2026-11-20T08:00:00+00:00"


def test_only_what_changed_within_the_window_and_its_overlap_is_taken() -> None:
    day = 86_400
    rows = [submission(n, changed=TEN + shift) for n, shift in enumerate([-3 * day, -2 * day, 0, day])]
    [batch] = pull(Site(rows))
    assert decode(batch.media_type, batch.payload, form())["uuid"].tolist() == ["u-1", "u-2"]


def test_a_submission_that_never_changed_is_taken_on_the_day_on_which_it_was_completed() -> None:
    rows = [{**submission(n), "changed": "", "completed": str(TEN - n * 86_400)} for n in range(5)]
    mapping = form(
        changed_at={"column": "changed", "formats": ["unix"]}, submitted_at={"column": "completed", "formats": ["unix"]}
    )
    [batch] = pull(Site(rows), mapping)
    assert decode(batch.media_type, batch.payload, mapping)["uuid"].tolist() == ["u-0", "u-1", "u-2"]


def test_the_forms_own_keys_make_columns_that_nobody_filled() -> None:
    elements = {"box": {"#type": "container", "newsletter": {"#type": "checkbox"}}, "email": {"#type": "email"}}
    [told] = pull(Site([submission(1)], elements=elements))
    assert decode(told.media_type, told.payload, form())["data.newsletter"].isna().all()
    [untold] = pull(Site([submission(1)]))
    assert "data.newsletter" not in decode(untold.media_type, untold.payload, form()).columns


def test_a_submission_as_webform_rest_gives_it_is_the_same_row() -> None:
    entity = {name: [{"value": text}] for name, text in submission(1).items() if name != "data"}
    [batch] = pull(Site([{"entity": entity, "data": {"email": "p1@example.org", "newsletter": "1"}}]))
    [row] = decode(batch.media_type, batch.payload, form()).to_dict("records")
    assert (row["uuid"], row["data.email"], row["changed"]) == ("u-1", "p1@example.org", str(TEN))


def test_a_wrong_key_is_an_error_that_does_not_show_it() -> None:
    with stub_server(Site([])) as stub, pytest.raises(SourceError) as error:
        list(connector(stub, api_key="wrong-key").iter_batches(form(), WINDOW, now=NOW))
    assert "wrong-key" not in str(error.value)


def test_an_answer_of_another_module_is_an_error() -> None:
    with stub_server(lambda _asked: Answer({"nodes": 1})) as stub, pytest.raises(SourceError):
        list(connector(stub).iter_batches(form(), WINDOW, now=NOW))


def test_the_labels_that_the_form_shows_now_come_with_a_pull() -> None:
    asked = make_consent(column="data.newsletter", grants=["1"], refuses=["0"], label_hash=label_hash("Newsletter"))
    elements = {"box": {"#type": "container", "newsletter": {"#type": "checkbox", "#title": "<b>Newsletter</b>"}}}
    mapping = form(consents=[asked])
    [batch] = pull(Site([submission(1, newsletter="1")], elements=elements), mapping)
    frame = decode(batch.media_type, batch.payload, mapping)
    assert frame[f"{LABEL_OF}data.newsletter"].tolist() == ["<b>Newsletter</b>"]
