"""Four sources that the code has never seen, each added by a suggestion and YAML alone, with a stop-watch, into the CRM.

What the human does is done here by `decide`: the TODOs of the suggestion, and nothing else, are filled in.
"""

import json
import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import SecretStr
from typer.testing import CliRunner

from connectors.mappings import load_mappings, mapping_of_text
from pipelines.cli import APP
from pipelines.operations.checking import check_file
from pipelines.operations.suggesting import Suggestion, Wish, save_mapping, suggest
from pipelines.operations.workspace import source_settings
from schemas.errors import BatchRefused, ConfigurationError, MappingError
from schemas.mappings import FileShape
from tests.connectors.http_stub import Answer, Asked, stub_server
from tests.invariants.acts import RECEIVED
from tests.invariants.world import World, whole_run

MACHINE_S = 120.0
WORDING = {"text": "Haluan uutiskirjeen sähköpostiini.", "language": "fi", "version": "1"}
GRANT: dict[str, Any] = {
    "purpose": "marketing",
    "polarity": "consent",
    "refuses": [],
    "wording": WORDING,
    "notice_version": "2026-01",
}

SURVEY = (
    "Vastausaika;Yhteystiedot:Etunimi;Yhteystiedot:Sukunimi;Yhteystiedot:Sähköposti;Mistä kuulit?;"
    "Uutiskirje:Haluan uutiskirjeen sähköpostiini.;Ruokavalio\r\n"
    "10.11.2026 10:00;Sanni;Survonen;sanni@example.org;Naapurilta;Haluan uutiskirjeen sähköpostiini.;Vegaani\r\n"
    "10.11.2026 11:00;Seppo;Survonen;seppo@example.org;Lehdestä;;\r\n"
)
FORM = yaml.safe_dump(
    {
        "id": "uutiskirje_2027",
        "title": "Uutiskirje",
        "langcode": "fi",
        "elements": yaml.safe_dump(
            {
                "kontti": {
                    "#type": "container",
                    "sahkopostiosoite": {"#type": "email", "#title": "Sähköpostiosoite"},
                    "etunimi": {"#type": "textfield", "#title": "Etunimi"},
                    "tilaus": {"#type": "checkbox", "#title": "Haluan uutiskirjeen sähköpostiini."},
                    "ideoita": {"#type": "textarea", "#title": "Juttuideoita uutiskirjeeseen"},
                }
            },
            allow_unicode=True,
        ),
    },
    allow_unicode=True,
)
TABLE = (
    "registration_id;registered_at;updated_at;etunimi;sukunimi;email;course_code;course_name;starts_at;ends_at;status\n"
)
ROW = (
    "r1;2026-11-10 09:00:00;2026-11-10 09:00:00;Kaija;Kurssinen;kaija@example.org;K1;Kurssi;"
    "2026-12-01 09:00:00;2026-12-02 16:00:00;in\n"
)
ORDERS = [
    {"id": n, "updated_at": "2026-11-10T09:00:00Z", "customer": {"email": f"rest{n}@example.org", "newsletter": "yes"}}
    for n in range(5)
]


def decide(suggestion: Suggestion, **decisions: Any) -> str:
    """The suggestion with its TODOs decided, as a human would type them; what else it says stays."""
    document = yaml.safe_load(suggestion.text)
    for path, value in decisions.items():
        if path == "consents":
            assert len(document["consents"]) == len(value)
            document["consents"] = [{**asked, **told} for asked, told in zip(document["consents"], value, strict=True)]
        else:
            assert "TODO" in yaml.safe_dump(document[path]), f"{path} was not left to decide"
            document[path] = {**document[path], **value} if isinstance(value, dict) else value
    return yaml.safe_dump(document, allow_unicode=True, sort_keys=False)


def website(asked: Asked) -> Answer:
    if asked.path.endswith("/elements"):
        return Answer({name: {"#type": "x"} for name in ("sahkopostiosoite", "etunimi", "tilaus", "ideoita")})
    data = {"sahkopostiosoite": "veera@example.org", "etunimi": "Veera", "tilaus": "1", "ideoita": "ei"}
    sent = {"sid": "1", "uuid": "u1", "completed": "1794305000", "changed": "1794305000", "in_draft": "0", "data": data}
    return Answer([sent] if asked.query["page"] == "0" else [])


def shop(asked: Asked) -> Answer:
    if asked.headers.get("Authorization") != "Bearer shop-secret":
        return Answer({}, 401)
    start = int(asked.query.get("cursor", "0"))
    return Answer({"orders": ORDERS[start : start + 2], "next": str(start + 2) if start < 4 else None})


@pytest.fixture
def new_world(world: World, tmp_path: Path) -> Iterator[tuple[World, str]]:
    """The world with a website, a database and a service, and none of the mappings that it had."""
    with ExitStack() as stack:
        site, service = stack.enter_context(stub_server(website)), stack.enter_context(stub_server(shop))
        database = tmp_path / "courses.db"
        make_database(database)
        settings = world.settings.model_copy(
            update={
                "config_dir": tmp_path,
                "web_forms_url": site.url,
                "web_forms_api_key": SecretStr("k"),
                "short_courses_url": SecretStr(f"sqlite:///{database}"),
                "rest_secrets": {"SHOP_TOKEN": SecretStr("shop-secret")},
            }
        )
        (tmp_path / "sources").mkdir()
        sources = source_settings(settings, world.workspace.policy.organisation.timezone)
        world.workspace = replace(world.workspace, settings=settings, sources=sources, mappings={})
        yield world, service.url


def make_database(path: Path) -> None:
    titles, cells = TABLE.strip().split(";"), ROW.strip().split(";")
    with sqlite3.connect(path) as connection:
        connection.execute(f"create table registrations ({', '.join(f'{title} text' for title in titles)})")
        connection.execute(f"insert into registrations values ({', '.join('?' for _ in cells)})", cells)
    connection.close()


def survey(world: World) -> str:
    wish = Wish(source="webropol", feed="kysely_2027", kind="survey", owner="Communications")
    return decide(
        suggest(world.session(), "kysely_2027.csv", SURVEY.encode(), wish),
        consents=[{**GRANT, "grants": ["Haluan uutiskirjeen sähköpostiini."]}],
    )


def drupal_form(world: World) -> str:
    wish = Wish(kind="mailing_list", owner="Communications")
    found = suggest(world.session(), "webform.webform.uutiskirje_2027.yml", FORM.encode(), wish)
    assert found.dropped == {"data.ideoita": "free text that no purpose needs, as far as can be told"}
    return decide(found, consents=[{**GRANT, "grants": ["1"], "silent": ["0"]}])


def sql_feed(world: World) -> str:
    wish = Wish(feed="kurssit_2027", kind="course_registration", owner="Training office", table="registrations")
    found = suggest(world.session(), "registrations.csv", (TABLE + ROW * 2).encode(), wish)
    status = {"status": {"column": "status", "values": {"in": "active"}}}
    return decide(found, registration=status)


def rest_feed(world: World, url: str) -> str:
    wish = Wish(feed="kauppa_2027", kind="mailing_list", owner="Shop", rest=f"{url}/api/orders", records="orders")
    found = suggest(world.session(), "answer.json", json.dumps({"orders": ORDERS}).encode(), wish)
    return decide(
        found,
        rest={
            "auth": {"kind": "bearer", "secret": "SHOP_TOKEN"},
            "paging": {"kind": "cursor", "param": "cursor", "next_path": "next"},
        },
        consents=[{**GRANT, "grants": ["yes"]}],
    )


def test_four_unknown_sources_are_added_by_suggestion_and_yaml_and_end_in_the_crm(new_world: tuple[World, str]) -> None:
    world, url = new_world
    started = time.perf_counter()
    for text in (survey(world), drupal_form(world), sql_feed(world), rest_feed(world, url)):
        save_mapping(world.session(), mapping_of_text(text).feed, text)
    config = world.workspace.settings.config_dir
    world.workspace = replace(world.workspace, mappings=load_mappings(config))
    dropped = world.drop / "kysely_2027_1.csv"
    dropped.write_bytes(SURVEY.encode())
    os.utime(dropped, (RECEIVED.timestamp(), RECEIVED.timestamp()))
    landed, gated, _ = whole_run(world.session(), world.crm)
    took = time.perf_counter() - started
    assert not [refused for report in landed.values() for refused in report.refused]
    assert not [one.stop for one in gated if one.stop]
    assert {row["emailaddress1"] for row in world.rows("contacts")} == {
        "sanni@example.org",
        "veera@example.org",
        "kaija@example.org",
        *(f"rest{n}@example.org" for n in range(5)),
    }, "everybody who agreed or registered, and nobody else"
    assert took < MACHINE_S, f"four sources took {took:.0f} s of the machine's time"


def test_a_suggestion_is_not_saved_while_anything_is_left_to_decide(new_world: tuple[World, str]) -> None:
    world, _ = new_world
    found = suggest(world.session(), "kysely.csv", SURVEY.encode(), Wish())
    assert {"kind", "owner", "consents[0].purpose"} <= set(found.to_decide)
    with pytest.raises(MappingError, match="still TODO"):
        save_mapping(world.session(), found.feed, found.text)
    assert [row["address"] for row in found.rows] == ["sanni@example.org", "seppo@example.org"]
    assert not [decision for row in found.rows for decision in row["decisions"]], "no consent is guessed"
    assert found.dropped["Ruokavalio"].startswith("special")


def test_the_pattern_of_a_suggestion_takes_the_very_file_that_it_was_made_from(new_world: tuple[World, str]) -> None:
    world, _ = new_world
    for name in ("Kysely 2026_Perusraportti.csv", "a[1]..b.csv", "x.CSV"):
        pattern = yaml.safe_load(suggest(world.session(), name, SURVEY.encode(), Wish()).text)["file"]["pattern"]
        assert fnmatchcase(name, pattern)
        FileShape(type="csv", pattern=pattern)
    found = suggest(world.session(), "registrations.csv", (TABLE + ROW).encode(), Wish(table="registrations"))
    assert len(set(found.to_decide)) == len(found.to_decide), "each decision is asked for once"
    rest = suggest(
        world.session(),
        "a.json",
        json.dumps({"orders": ORDERS}).encode(),
        Wish(rest="https://x.example.org/a/b", records="orders"),
    )
    assert "one of none, bearer" in rest.text


def test_a_mapping_is_checked_before_it_is_one_of_the_configuration(
    new_world: tuple[World, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world, _ = new_world
    mapping = mapping_of_text(survey(world))
    assert mapping.feed not in world.workspace.mappings
    verdict = check_file(world.session(), mapping, SURVEY.encode())
    assert (verdict.is_understood, verdict.states) == (True, {"taken in": 2})
    with pytest.raises(ConfigurationError, match="There is no feed"):
        check_file(world.session(), mapping.feed, SURVEY.encode())
    monkeypatch.chdir(tmp_path)
    called = CliRunner().invoke(APP, ["sources", "check", __file__])
    assert called.exit_code == 2
    assert "--mapping FILE.yaml" in called.output.replace("\n", " ")
    assert not Path(".intake").exists(), "no store is made for a question that is put wrongly"


def test_a_saved_mapping_is_never_overwritten(new_world: tuple[World, str]) -> None:
    world, _ = new_world
    text = survey(world)
    save_mapping(world.session(), "kysely_2027", text)
    with pytest.raises(MappingError, match="already"):
        save_mapping(world.session(), "kysely_2027", text)


def test_checking_a_file_gives_a_verdict_per_column_and_row_and_no_value(new_world: tuple[World, str]) -> None:
    world, _ = new_world
    mapping = mapping_of_text(survey(world))
    world.workspace = replace(world.workspace, mappings={mapping.feed: mapping})
    bad = "10.11.2026 12:00;Outi;Ohi;outi(at)example.org;;;\r\n"
    verdict = check_file(world.session(), mapping.feed, (SURVEY + bad).encode())
    by_column = {each["column"]: each for each in verdict.columns}
    assert by_column["Ruokavalio"]["verdict"] == "dropped"
    assert by_column["Yhteystiedot:Sähköposti"]["for"] == "email"
    assert by_column["Yhteystiedot:Sähköposti"]["faults"] == 1
    assert "consent to marketing" in by_column["Uutiskirje:Haluan uutiskirjeen sähköpostiini."]["for"]
    assert verdict.states == {"taken in": 2, "quarantined": 1}
    assert [(each["row"], each["field"]) for each in verdict.rows] == [(3, "email")]
    assert "example.org" not in json.dumps([verdict.columns, verdict.rows], default=str)


def test_a_sample_of_what_is_pulled_is_checked_as_it_would_be_read(new_world: tuple[World, str]) -> None:
    world, url = new_world
    submission = {"sid": "1", "completed": "1763028000", "changed": "1763028000", "uuid": "u", "in_draft": "0"}
    told = {"sahkopostiosoite": "veera@example.org", "etunimi": "Veera", "tilaus": "1", "ideoita": ""}
    samples = {
        drupal_form(world): json.dumps([{**submission, "data": told}]),
        sql_feed(world): TABLE + ROW,
        rest_feed(world, url): json.dumps({"orders": ORDERS}),
    }
    for text, sample in samples.items():
        mapping = mapping_of_text(text)
        world.workspace = replace(world.workspace, mappings={mapping.feed: mapping})
        verdict = check_file(world.session(), mapping.feed, sample.encode())
        assert verdict.is_understood, (mapping.feed, verdict.refused, verdict.rules_failed)
        assert verdict.states == {"taken in": verdict.read}
        with pytest.raises(BatchRefused):
            check_file(world.session(), mapping.feed, b"\x81\x00 nothing of the kind")


def test_questions_that_are_read_for_no_purpose_and_columns_that_do_not_fit_are_listed(
    new_world: tuple[World, str],
) -> None:
    world, _ = new_world
    document = yaml.safe_load(survey(world))
    document["answers"] = {"Mistä kuulit?": "heard"}
    document["ignored"].remove("Mistä kuulit?")
    mapping = mapping_of_text(yaml.safe_dump(document, allow_unicode=True))
    world.workspace = replace(world.workspace, mappings={mapping.feed: mapping})
    verdict = check_file(world.session(), mapping.feed, SURVEY.replace("Ruokavalio", "Kengännumero").encode())
    assert verdict.purposeless == ["Mistä kuulit?"]
    assert verdict.refused is not None
    assert "Kengännumero" in verdict.refused
    assert {each["column"]: each["verdict"] for each in verdict.columns}["Kengännumero"] == "unmapped"
    assert not verdict.is_understood
