"""What unknown columns are taken for: known titles in three languages, shapes of values, and what is never guessed."""

from pathlib import Path

import pandas as pd
import pytest
import yaml

from connectors.form_definitions import read_definition
from connectors.unknown_files import look_at
from pipelines.transforms.suggesting.known_titles import KNOWN_TITLES, is_special, known_role
from pipelines.transforms.suggesting.proposing import propose
from pipelines.transforms.suggesting.yaml_text import Frame, mapping_text
from schemas.errors import BatchRefused
from schemas.mappings import Mapping, Source
from schemas.suggestions import Proposal, Question, Role, todo_paths

DEFINITIONS = sorted((Path(__file__).parents[1] / "samples" / "drupal_webform").glob("*.yml"))


def frame_of(**columns: list[str | None]) -> pd.DataFrame:
    return pd.DataFrame({title: pd.Series(values, dtype="str") for title, values in columns.items()})


def proposed(title: str, *values: str | None) -> Proposal:
    [proposal] = propose(frame_of(**{title: list(values)}))
    return proposal


@pytest.mark.parametrize(
    ("title", "role"),
    [
        ("Sähköposti", Role.EMAIL),
        ("E-postadress", Role.EMAIL),
        ("Yhteystiedot:Sähköpostiosoite", Role.EMAIL),
        ("data.sahkopostiosoite", Role.EMAIL),
        ("Email address *", Role.EMAIL),
        ("Etunimi", Role.GIVEN_NAME),
        ("Förnamn", Role.GIVEN_NAME),
        ("customer.first_name", Role.GIVEN_NAME),
        ("Efternamn:", Role.FAMILY_NAME),
        ("Nimi", Role.FULL_NAME),
        ("Matkapuhelin", Role.PHONE),
        ("Postnummer", Role.POSTAL_CODE),
        ("Postitoimipaikka", Role.CITY),
        ("Työnantaja", Role.ORGANISATION),
        ("Vastausaika", Role.SUBMITTED_AT),
        ("Svarstid", Role.SUBMITTED_AT),
        ("updated_at", Role.CHANGED_AT),
        ("Kurssikoodi", Role.OCCASION_ID),
        ("Submission UUID", Role.KEY),
    ],
)
def test_known_titles_in_three_languages(title: str, role: Role) -> None:
    assert proposed(title).role is role


@pytest.mark.parametrize(
    "title",
    [
        "Haluan uutiskirjeen",
        "Markkinointilupa",
        "Uutiskirje:Tilaan uutiskirjeen sähköpostiini.",
        "Jag vill ha nyhetsbrev",
        "I would like to subscribe to the newsletter",
        "Marketing prohibition",
        "koulutusmarkkinointilupa",
        "Saa lähettää tietoa tulevista koulutuksista",
        "Suoramarkkinointikielto",
        "opt-in",
    ],
)
def test_what_may_be_about_a_purpose_is_never_guessed(title: str) -> None:
    assert proposed(title, "1", "0", "1", "0").role is Role.CONSENT
    text = mapping_text(frame("file"), propose(frame_of(Sähköposti=["a@example.org"], **{title: ["1"]})))
    undecided = set(todo_paths(yaml.safe_load(text)))
    assert {
        "consents[0].purpose",
        "consents[0].polarity",
        "consents[0].grants[0]",
        "consents[0].wording.text",
    } <= undecided


def test_a_sentence_that_repeats_itself_as_its_only_answer_is_held_for_a_human() -> None:
    answer = "Kyllä, minulle saa lähettää tietoa."
    assert proposed("Lähetys", answer, None, answer, None).role is Role.CONSENT
    assert proposed("Valinta", "x", None, "x").role is Role.CONSENT


@pytest.mark.parametrize(
    "title",
    [
        "Olen tutustunut tietosuojaselosteeseen",
        "I have read the privacy notice",
        "user_consent privacy",
        "Jag har läst dataskydd",
    ],
)
def test_having_read_a_notice_is_dropped_and_no_consent(title: str) -> None:
    assert proposed(title, "1").role is Role.DROPPED


@pytest.mark.parametrize("title", ["Ruokavalio", "Henkilötunnus", "IBAN", "Laskutusosoite", "Remote IP address"])
def test_special_and_payment_data_are_dropped_with_the_reason(title: str) -> None:
    proposal = proposed(title, "x")
    assert proposal.role is Role.DROPPED
    assert "special" in proposal.why


@pytest.mark.parametrize(
    ("title", "own"),
    [
        *(
            ("Maksaja:Sähköposti", "Sähköposti"),
            ("Payer:Email", "Email"),
            ("Paid by: Email", "Email"),
            ("Betalare:E-post", "E-post"),
            ("Billing:Email", "Email"),
            ("data.billing_email", "data.email"),
        ),
        *(("Maksajan nimi:Nimi", "Nimi"), ("Payer: Phone", "Phone"), ("Betalare.Postnummer", "Postnummer")),
    ],
)
def test_whoever_pays_is_not_taken_for_the_one_who_registers(title: str, own: str) -> None:
    for columns in ((title, own), (own, title)):
        found = {each.column: each for each in propose(frame_of(**{column: ["x"] for column in columns}))}
        assert found[title].role is Role.DROPPED and "payment" in found[title].why
        assert found[own].role is known_role(own) is not None


@pytest.mark.parametrize(
    "title",
    ["Viitenumero", "OVT-tunnus", "data.ovt_tunnus", "BIC", "SWIFT code", "Kustannuspaikka", "Cost centre", "cost_center",
     "Kostnadsställe"],
)  # fmt: skip
def test_words_of_billing_are_dropped_as_payment_data(title: str) -> None:
    assert "payment" in proposed(title, "x").why


def test_no_title_that_forms_use_for_a_field_is_held_for_payment_or_special_data() -> None:
    assert not [title for title in KNOWN_TITLES if is_special(title)]
    assert not [title for title in ("Aerobic", "swiftly", "Novto") if is_special(title)]


def test_identity_codes_under_an_innocent_title_are_dropped() -> None:
    assert proposed("Tunnus", "131052-308T", "131052-308T").role is Role.DROPPED
    assert "special" in proposed("Tunnus", "131052-308T", "131052-308T").why


def test_wanting_to_be_contacted_is_no_marketing() -> None:
    assert proposed("Haluan, että minuun otetaan yhteyttä", "Kyllä", "Ei", "Kyllä", "Ei").role is Role.CONTACT_ME
    assert proposed("I would like to be contacted", "1", "0", "1", "0").role is Role.CONTACT_ME


def test_an_address_is_known_by_its_values_and_a_second_one_is_nobodys() -> None:
    found = propose(frame_of(Yhteys=["a@example.org", "b@example.org"], Esihenkilö=["c@example.org", None]))
    assert [each.role for each in found] == [Role.EMAIL, Role.DROPPED]
    assert "whose" in found[1].why


@pytest.mark.parametrize(
    ("values", "formats"),
    [
        (["12.1.2026 10:00", "13.1.2026 11:05"], ("fi_datetime",)),
        (["12.1.2026", "13.1.2026"], ("fi_date",)),
        (["12.1.2026 10:00", "13.1.2026"], ("fi_datetime", "fi_date")),
        (["2026-01-12T10:00:00Z", "2026-01-13T10:00:00+02:00"], ("iso",)),
        (["1795161600", "1795161700"], ("unix",)),
        (["46034.5", "46035.25"], ("excel_serial",)),
        (["soon", "later"], ()),
    ],
)
def test_the_form_of_a_time_is_found_by_trying_what_a_mapping_may_declare(
    values: list[str], formats: tuple[str, ...]
) -> None:
    assert proposed("Vastausaika", *values).formats == formats


def test_peoples_own_words_are_never_written_into_a_suggestion() -> None:
    words = [f"secret {number}" for number in range(12)]
    frame_ = frame_of(Sähköposti=["a@example.org"] * 12, **{"Miksi haluat uutiskirjeen?": words})
    assert "secret" not in mapping_text(frame("file"), propose(frame_))


def frame(way: str) -> Frame:
    return Frame(Source.WEB_FORMS, "form", "A form", (way, {"type": "csv", "pattern": "form_*.csv"}))


def test_a_suggestion_without_anything_to_decide_is_a_valid_mapping() -> None:
    raw = frame_of(uuid=["1"], Created=["2026-01-12T10:00:00Z"], Email=["a@example.org"])
    done = Frame(
        Source.WEB_FORMS, "form", "A form", ("file", {"type": "csv", "pattern": "f"}), "survey", "Communications"
    )
    mapping = Mapping.model_validate(yaml.safe_load(mapping_text(done, propose(raw))))
    assert mapping.fields.email is not None
    assert mapping.key == ("uuid",)


def test_a_mapping_with_something_to_decide_is_refused_by_name() -> None:
    document = yaml.safe_load(mapping_text(frame("file"), propose(frame_of(Email=["a@example.org"], Uutiskirje=["1"]))))
    with pytest.raises(ValueError, match=r"decide what is still TODO: kind, owner, .*consents\[0\]\.purpose"):
        Mapping.model_validate(document)


@pytest.mark.parametrize("path", DEFINITIONS, ids=lambda path: path.name.split(".")[-2])
def test_real_definitions_of_finnish_forms_are_read_as_questions(path: Path) -> None:
    form = read_definition(path.read_bytes())
    asked = {question.column: question for question in form.questions}
    assert not any(column.endswith(("_kontti", "captcha", "actions", "_otsikko")) for column in asked)
    found = {proposal.column: proposal.role for proposal in propose(pd.DataFrame(), form.questions)}
    assert set(found) == set(asked)
    if form.form_id == "palaute":
        assert found["data.sahkopostiosoite"] is Role.EMAIL
        assert found["data.organisaatio"] is Role.ORGANISATION


def test_a_question_of_a_definition_about_a_newsletter_waits_for_a_human_and_a_text_about_one_is_text() -> None:
    questions = (
        Question("data.news", "Haluan uutiskirjeen", "checkbox", ("1", "0")),
        Question("data.idea", "Ehdota juttua uutiskirjeeseen", "textarea"),
        Question("data.vakuutus", "Olen tutustunut rekisteriselosteeseen", "webform_terms_of_service", ("1", "0")),
    )
    roles = [proposal.role for proposal in propose(pd.DataFrame(), questions)]
    assert roles[:2] == [Role.CONSENT, Role.DROPPED]
    assert roles[2] is Role.DROPPED


def test_markup_and_entities_in_a_question_are_its_plain_text_and_yes_no_is_two_options() -> None:
    elements = {"k": {"#type": "radios", "#title": "<b>L&auml;het&auml;</b>\n uutiskirje", "#options": "yes_no"}}
    form = read_definition(yaml.safe_dump({"id": "x", "elements": yaml.safe_dump(elements)}).encode())
    [asked] = [question for question in form.questions if question.column == "data.k"]
    assert (asked.text, asked.options) == ("Lähetä uutiskirje", ("Yes", "No"))


def test_what_is_no_definition_is_refused() -> None:
    for payload in (
        b"",
        b"a: [",
        b"id: x\nelements: 5",
        b"\xff\xfe",
        b"id: x\nelements: |\n  a: &a [*a]",
        b"[" * 50_000,
    ):
        with pytest.raises(BatchRefused, match="not a definition"):
            read_definition(payload)


def test_references_that_multiply_a_short_text_are_refused() -> None:
    lines = ["a0: &a0 [x, x]", *(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]" for n in range(1, 40))]
    with pytest.raises(BatchRefused, match="not a definition"):
        read_definition("\n".join(["id: x", *lines, "elements: ''"]).encode())


@pytest.mark.parametrize(
    ("payload", "shape"),
    [
        (b"Nimi;Email\nA;b@example.org\n", {"type": "csv", "delimiter": ";"}),
        (b"Nimi,Email\nA,b@example.org\n", {"type": "csv", "delimiter": ","}),
        (b"Nimi\tEmail\nA\tb@example.org\n", {"type": "csv", "delimiter": "\t"}),
        (b"Report\n\nNimi;Email;Aika\nA;b@example.org;1\n", {"type": "csv", "delimiter": ";", "header_row": 3}),
        (b'[{"email": "a@example.org"}]', {"type": "json"}),
    ],
)
def test_an_unknown_file_is_looked_at(payload: bytes, shape: dict[str, object]) -> None:
    assert look_at(payload).shape == shape
