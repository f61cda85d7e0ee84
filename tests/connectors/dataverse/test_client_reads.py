"""Reads over a real socket: pages, rows by id, changes, and what is asked again."""

import gzip
import json
from typing import Any
from urllib.parse import unquote

import pytest

from connectors.dataverse import ChangeTokenExpired, DataverseClient
from schemas.errors import CrmError, CrmMisconfigured, CrmUnavailable

# As servers write it: an escaped hyphen, an escape inside an escape, characters that need none.
COOKIE = "$skiptoken=%3Ccookie%20pagenumber=%222%22%20pagingcookie=%22%253ca%2D1%253e%22%20/%3E"


def page(content: list[dict[str, Any]], **links: str) -> tuple[int, dict[str, str], bytes]:
    return 200, {}, json.dumps({"value": content, **{f"@odata.{name}": link for name, link in links.items()}}).encode()


def ids(*numbers: int) -> list[str]:
    return [f"00000000-0000-0000-0000-{number:012d}" for number in numbers]


def test_who_am_i_names_the_user_and_the_servers_parallelism(client: DataverseClient, script: Any) -> None:
    body = json.dumps({"UserId": "u", "OrganizationId": "o", "BusinessUnitId": "b"}).encode()
    script.answer_in_turn((200, {"x-ms-dop-hint": "7"}, body))
    who = client.who_am_i()
    assert (who.user_id, who.organization_id, who.dop_hint) == ("u", "o", 7)
    assert (script.seen[0].target, script.seen[0].headers["If-None-Match"]) == ("/api/data/v9.2/WhoAmI", "null")


def test_next_links_are_followed_byte_for_byte_with_the_same_preference(
    client: DataverseClient, script: Any, kit: Any
) -> None:
    link = f"{script.base_url}/api/data/v9.2/contacts?$select=contactid&{COOKIE}"
    script.answer_in_turn(page([{"n": 1}, {"n": 2}], nextLink=link), page([{"n": 3}]))
    assert [row["n"] for row in client.iter_rows(kit.contacts, ["firstname"], page_size=2)] == [1, 2, 3]
    first, second = script.seen
    assert first.target == "/api/data/v9.2/contacts?$select=contactid,firstname"
    assert second.target == f"/api/data/v9.2/contacts?$select=contactid&{COOKIE}"
    assert first.headers["Prefer"] == second.headers["Prefer"] == "odata.maxpagesize=2"


@pytest.mark.parametrize(
    "link",
    [
        "https://example.org/api/data/v9.2/contacts",
        "http://127.0.0.1:1/x",
        "/relative",
        "https://x:99999/",
        "https://[::1/",
        "https://example.org\\@127.0.0.1/",
    ],
)
def test_a_link_to_another_host_gets_no_token(client: DataverseClient, script: Any, kit: Any, link: str) -> None:
    script.answer_in_turn(page([], nextLink=link))
    with pytest.raises(CrmMisconfigured):
        list(client.iter_rows(kit.contacts, []))
    assert len(script.seen) == 1


def test_pages_that_lead_back_to_themselves_end_in_an_error(client: DataverseClient, script: Any, kit: Any) -> None:
    link = f"{script.base_url}/api/data/v9.2/contacts?$select=contactid&{COOKIE}"
    script.answer_in_turn(*[page([{"n": 1}], nextLink=link)] * 3)
    with pytest.raises(CrmUnavailable, match="do not end"):
        list(client.iter_rows(kit.contacts, []))
    assert len(script.seen) == 2


@pytest.mark.parametrize("body", [b"{}", b'{"value": null}', b'{"error": {"code": ""}}'])
def test_an_answer_that_is_json_and_no_rows_is_an_error_that_may_pass(
    client: DataverseClient, script: Any, kit: Any, body: bytes
) -> None:
    script.answer_in_turn((200, {}, body))
    with pytest.raises(CrmUnavailable, match="no rows"):
        list(client.iter_rows(kit.contacts, []))


@pytest.mark.parametrize("size", [0, 5001])
def test_a_page_has_one_to_five_thousand_rows(client: DataverseClient, kit: Any, size: int) -> None:
    with pytest.raises(ValueError, match="5000"):
        list(client.iter_rows(kit.contacts, [], page_size=size))


def test_a_filter_reaches_the_server_as_it_was_written(client: DataverseClient, script: Any, kit: Any) -> None:
    script.answer_in_turn(page([]))
    list(client.iter_rows(kit.contacts, [], filter="emailaddress1 eq 'a+b&c#d@example.org'"))
    target = script.seen[0].target
    assert "+" not in target and "#" not in target and target.count("&") == 1
    assert unquote(target).endswith("$filter=emailaddress1 eq 'a+b&c#d@example.org'")


@pytest.mark.parametrize("answer", ["cut", "half", (503, {}, b"<html>"), (200, {}, b'{"value":['), (500, {}, b"")])
def test_a_read_is_asked_again_until_it_is_answered(
    client: DataverseClient, script: Any, kit: Any, manual_clock: Any, answer: Any
) -> None:
    script.answer_in_turn(answer, answer, page([{"n": 1}]))
    assert list(client.iter_rows(kit.contacts, [])) == [{"n": 1}]
    assert len(manual_clock.slept) == 2


def test_compressed_answers_are_read(client: DataverseClient, script: Any, kit: Any) -> None:
    status, _, body = page([{"n": 1}])
    script.answer_in_turn((status, {"Content-Encoding": "gzip"}, gzip.compress(body)))
    assert list(client.iter_rows(kit.contacts, [])) == [{"n": 1}]
    assert script.seen[0].headers["Accept-Encoding"] == "gzip"


def test_a_compressed_answer_that_is_cut_is_asked_again(client: DataverseClient, script: Any, kit: Any) -> None:
    status, _, body = page([{"n": 1}])
    script.answer_in_turn((status, {"Content-Encoding": "gzip"}, gzip.compress(body)[:-20]), page([{"n": 2}]))
    assert list(client.iter_rows(kit.contacts, [])) == [{"n": 2}]


def test_a_read_is_given_up_after_a_few_attempts(client: DataverseClient, script: Any, kit: Any) -> None:
    script.answer_in_turn((503, {}, b"<html>"))
    with pytest.raises(CrmUnavailable):
        list(client.iter_rows(kit.contacts, []))
    assert len(script.seen) == 5


def test_a_wrong_column_in_a_read_is_not_asked_again(client: DataverseClient, script: Any, kit: Any) -> None:
    script.answer_in_turn(kit.error(400, "0x0"))
    with pytest.raises(CrmMisconfigured):
        list(client.iter_rows(kit.contacts, ["nosuch"]))
    assert len(script.seen) == 1


def test_rows_are_fetched_by_id_in_chunks_and_absent_ones_are_left_out(
    client: DataverseClient, script: Any, kit: Any
) -> None:
    wanted = ids(*range(250))

    def reply(seen: Any) -> Any:
        found = [row_id for row_id in wanted if row_id in unquote(seen.target) and not row_id.endswith("7")]
        return page([{"contactid": row_id.upper(), "@odata.etag": 'W/"1"'} for row_id in found])

    script.reply = reply
    rows = client.fetch_rows(kit.contacts, wanted + wanted[:3], ["firstname"])
    assert set(rows) == {row_id for row_id in wanted if not row_id.endswith("7")}
    assert rows[wanted[0]]["@odata.etag"] == 'W/"1"'
    assert len(script.seen) == 3
    assert all(len(seen.target) < 16_000 for seen in script.seen)


def test_fetching_nothing_asks_nothing(client: DataverseClient, script: Any, kit: Any) -> None:
    assert client.fetch_rows(kit.contacts, [], ["firstname"]) == {}
    assert script.seen == []


def test_changes_come_page_by_page_with_the_delta_link_last(client: DataverseClient, script: Any, kit: Any) -> None:
    root = f"{script.base_url}/api/data/v9.2/contacts"
    gone = {"@odata.context": f"{root}/$metadata#contacts/$deletedEntity", "id": ids(9)[0], "reason": "deleted"}
    script.answer_in_turn(
        page([{"contactid": ids(1)[0]}], nextLink=f"{root}?{COOKIE}"),
        page([{"contactid": ids(2)[0]}, gone], deltaLink=f"{root}?$deltatoken=9%2108%2f22"),
    )
    first, last = client.iter_changes(kit.contacts, ["firstname"])
    assert (len(first.rows), first.deleted_ids, first.delta_link) == (1, [], None)
    assert (len(last.rows), last.deleted_ids) == (1, ids(9))
    assert last.delta_link == f"{root}?$deltatoken=9%2108%2f22"
    assert {seen.headers["Prefer"] for seen in script.seen} == {"odata.track-changes,odata.maxpagesize=5000"}


def test_a_delta_link_is_used_as_it_was_given(client: DataverseClient, script: Any, kit: Any) -> None:
    link = f"{script.base_url}/api/data/v9.2/contacts?$select=contactid&$deltatoken=919042%2108%2F22%2F2017"
    script.answer_in_turn(page([], deltaLink=link))
    assert [change.delta_link for change in client.iter_changes(kit.contacts, [], link)] == [link]
    assert script.seen[0].target == link.removeprefix(script.base_url)


def test_an_expired_delta_link_is_an_error_of_its_own(client: DataverseClient, script: Any, kit: Any) -> None:
    script.answer_in_turn(kit.error(400, "0x80044352"))
    with pytest.raises(ChangeTokenExpired):
        list(client.iter_changes(kit.contacts, [], f"{script.base_url}/api/data/v9.2/contacts?$deltatoken=1"))


@pytest.mark.parametrize(
    ("status", "code", "raised"),
    [
        (400, "0x80040216", ChangeTokenExpired),
        (404, "0x80040217", ChangeTokenExpired),
        (404, "0x8006088a", ChangeTokenExpired),
        (410, None, ChangeTokenExpired),
        (403, "0x80040220", CrmMisconfigured),
        (405, None, CrmMisconfigured),
        (503, None, CrmUnavailable),
    ],
)
def test_a_kept_link_that_is_refused_has_expired_unless_it_is_about_us_or_about_now(
    client: DataverseClient, script: Any, kit: Any, status: int, code: str | None, raised: type[CrmError]
) -> None:
    script.answer_in_turn(kit.error(status, code))
    with pytest.raises(raised) as caught:
        list(client.iter_changes(kit.contacts, [], f"{script.base_url}/api/data/v9.2/contacts?$deltatoken=1"))
    assert raised is CrmUnavailable or caught.value.status == status


def test_a_kept_link_to_another_host_has_expired_and_one_within_a_reading_is_a_misconfiguration(
    client: DataverseClient, script: Any, kit: Any
) -> None:
    elsewhere = "https://old.example.org/api/data/v9.2/contacts?$deltatoken=1"
    with pytest.raises(ChangeTokenExpired):
        list(client.iter_changes(kit.contacts, [], elsewhere))
    assert script.seen == []
    script.answer_in_turn(page([], nextLink=elsewhere))
    with pytest.raises(CrmMisconfigured):
        list(client.iter_changes(kit.contacts, [], f"{script.base_url}/api/data/v9.2/contacts?$deltatoken=1"))
    assert len(script.seen) == 1


def test_what_is_refused_after_the_first_page_is_told_as_it_is(client: DataverseClient, script: Any, kit: Any) -> None:
    root = f"{script.base_url}/api/data/v9.2/contacts"
    script.answer_in_turn(page([], nextLink=f"{root}?{COOKIE}"), kit.error(400, "0x80040216"))
    with pytest.raises(CrmMisconfigured):
        list(client.iter_changes(kit.contacts, [], f"{root}?$deltatoken=1"))


def test_a_table_that_is_not_tracked_is_a_misconfiguration(client: DataverseClient, script: Any, kit: Any) -> None:
    script.answer_in_turn(page([]))
    with pytest.raises(CrmMisconfigured):
        list(client.iter_changes(kit.contacts, []))
