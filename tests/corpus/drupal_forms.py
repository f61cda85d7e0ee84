"""Drupal Webform: exports with every option, JSON pushed, pulled and packed, consents by an allow-list (facts B1 to B5)."""

import io
import json
import tarfile
import zipfile
from typing import Any

from schemas.labels import label_hash
from tests.corpus.cases import Case, consent, document, feed, text

UNIX = {"column": "completed", "formats": ["unix"]}
LABEL = "Tilaan uutiskirjeen"
BASE = {
    "serial": "7",
    "sid": "41",
    "uuid": "0c1f",
    "token": "secret",
    "uri": "/form/a",
    "created": "1767600000",
    "completed": "1767600100",
    "changed": "1767600100",
    "in_draft": "0",
    "current_page": "",
    "remote_addr": "192.0.2.1",
    "uid": "0",
    "langcode": "en",
    "webform_id": "yhteydenotto",
    "entity_type": "",
    "entity_id": "",
    "locked": "0",
    "sticky": "0",
    "notes": "",
}


def form(fields: dict[str, Any], *, kind: str = "mailing_list", **changes: Any) -> dict[str, Any]:
    """A form's JSON: keys of its elements under `data`."""
    plain = {
        "file": {"type": "json", "pattern": "*.json"},
        "key": ["sid"],
        "submitted_at": UNIX,
        "changed_at": {"column": "changed", "formats": ["unix"]},
        "drafts": {"column": "in_draft", "values": {"1": "draft", "0": "final"}},
        "consents": [consent("data.uutiskirje", "1", silent=["0"])],
    }
    return feed("web_forms", kind, fields, **{**plain, **changes})


def table(fields: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """A form's delimited export."""
    plain = {
        "file": {"type": "csv", "pattern": "*.csv", "delimiter": ","},
        "key": ["Submission ID"],
        "submitted_at": {"column": "Completed", "formats": ["drupal"]},
        "consents": [],
    }
    return feed("web_forms", "mailing_list", fields, **{**plain, **changes})


def submission(sid: int, data: Any, **base: str) -> dict[str, Any]:
    return {**BASE, "sid": str(sid), **base, "data": data}


def entity(sid: int, data: dict[str, Any]) -> dict[str, Any]:
    fields = {name: [{"value": value}] for name, value in {**BASE, "sid": str(sid)}.items()}
    return {"entity": fields, "data": data}


def packed(name: str, fact: str, mapping: dict[str, Any], documents: dict[str, Any], *, cut: int = 0) -> Case:
    buffer = io.BytesIO()
    contents = {member: json.dumps(content, ensure_ascii=False).encode() for member, content in documents.items()}
    if name.endswith(".zip"):
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
            for member, content in contents.items():
                archive.writestr(member, content)
    else:
        with tarfile.open(fileobj=buffer, mode="w:gz" if name.endswith(".gz") else "w") as archive:
            for member, content in contents.items():
                info = tarfile.TarInfo(member)
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
    payload = buffer.getvalue()
    return Case(name, fact, mapping, payload[: len(payload) - cut])


AINO = {"sahkoposti": "aino@example.org", "uutiskirje": "1"}
OLAVI = {"sahkoposti": "olavi@example.org", "uutiskirje": "0"}
EMAIL = {"email": "data.sahkoposti"}
BY_LABEL = [consent("data.uutiskirje", "1", silent=["0"], label_hash=label_hash(LABEL))]
HEAD = "Submission ID,Completed,E-mail"
ROW = "1,2026-01-05 10:01:40,aino@example.org"
MAIL = {"email": "E-mail"}
OPTIONS = {"arrangement": {"options": [{"column": "Select multiple", "options": ["One", "Two", "Three"]}]}}


def pulled(name: str, fact: str, mapping: dict[str, Any], rows: list[dict[str, Any]], titles: list[Any]) -> Case:
    return document(
        name, fact, mapping, {"received_at": ["2026-11-20T12:00:00+00:00"] * len(rows), "titles": titles, "rows": rows}
    )


EXPORTS: list[Case] = [
    text(
        "webform_default_export",
        "B1 the default: comma, labels as titles, options in one cell joined by ;",
        table(
            MAIL,
            **OPTIONS,
            consents=[consent("Select multiple:Two", "Two", topic="events")],
            ignored=["Select single", "Select other"],
        ),
        f"{HEAD},Select single,Select multiple,Select other\n{ROW},One,One;Two;Three,Four\n",
    ),
    text(
        "webform_keys_as_titles",
        "B1 header and items as keys",
        table(
            {"email": "sahkoposti"},
            key=["sid"],
            submitted_at={"column": "completed", "formats": ["drupal"]},
            consents=[consent("aihe", "koulutus", topic="training")],
        ),
        "sid,completed,sahkoposti,aihe\n1,2026-01-05 10:01:40,aino@example.org,koulutus\n",
    ),
    text(
        "webform_separate_columns",
        'B1 one column per option with X, "Select single: one"',
        table(
            MAIL,
            consents=[
                consent("Aiheet: Koulutus", "X", topic="training"),
                consent("Aiheet: Tapahtumat", "X", topic="events"),
            ],
        ),
        f"{HEAD},Aiheet: Koulutus,Aiheet: Tapahtumat\n{ROW},X,\n",
    ),
    text(
        "webform_key_prefix",
        "B1 header prefix by key: parent__child",
        table(
            {"email": "yhteys__email", "city": "yhteys__city"},
            key=["sid"],
            submitted_at={"column": "completed", "formats": ["drupal"]},
        ),
        "sid,completed,yhteys__email,yhteys__city\n1,2026-01-05 10:01:40,aino@example.org,Pori\n",
    ),
    text(
        "webform_label_prefix",
        'B1 header prefix by label: "Address: City/Town"',
        table({**MAIL, "city": "Address: City/Town"}),
        f"{HEAD},Address: City/Town\n{ROW},Pori\n",
    ),
    text(
        "webform_tabs",
        "B1 the .tsv variant",
        table(MAIL, file={"type": "csv", "pattern": "*.csv", "delimiter": "\t"}),
        f"{HEAD}\n{ROW}\n".replace(",", "\t"),
    ),
    text(
        "webform_pipes",
        "B1 the | variant",
        table(MAIL, file={"type": "csv", "pattern": "*.csv", "delimiter": "|"}),
        f"{HEAD}\n{ROW}\n".replace(",", "|"),
    ),
    text(
        "webform_for_excel",
        "B1 excel: byte order mark, and line ends inside cells",
        table({**MAIL, "message": "Viesti"}),
        f'{HEAD},Viesti\n{ROW},"Hei!\nTerveisin Aino"\n',
        encoding="utf-8-sig",
    ),
    text(
        "webform_quotes",
        "B1 fputcsv quotes only where needed and doubles quotes",
        table({**MAIL, "message": "Viesti"}),
        f'{HEAD},Viesti\n{ROW},"Hän sanoi ""hei"", ja lähti"\n',
    ),
    text(
        "webform_formula",
        "B1 a cell that begins like a formula is text and is run by nobody",
        table({**MAIL, "message": "Viesti"}),
        f'{HEAD},Viesti\n{ROW},"=HYPERLINK(""https://example.org"",""x"")"\n',
    ),
    text(
        "webform_another_option_separator",
        "B1 the separator of options is a setting",
        table(
            MAIL,
            arrangement={"options": [{"column": "Aiheet", "separator": " | ", "options": ["Koulutus", "Tapahtumat"]}]},
            consents=[consent("Aiheet:Koulutus", "Koulutus", topic="training")],
        ),
        f"{HEAD},Aiheet\n{ROW},Koulutus | Tapahtumat\n",
    ),
    text(
        "webform_drafts",
        "B1 drafts are in the export by default: nobody has said it yet",
        table(
            MAIL,
            drafts={"column": "Is draft", "values": {"Yes": "draft", "No": "final"}},
            consents=[consent("News", "Yes")],
        ),
        f"{HEAD},Is draft,News\n{ROW},No,Yes\n2,2026-01-05 10:02:00,olavi@example.org,Yes,Yes\n",
    ),
    text(
        "webform_site_time",
        "B1 times are the site's zone, not UTC",
        table(MAIL, submitted_at={"column": "Completed", "formats": ["drupal"], "timezone": "Europe/Helsinki"}),
        f"{HEAD}\n1,2026-07-05 10:01:40,aino@example.org\n",
    ),
    text(
        "webform_composites",
        "B1 several composites in one cell, joined by ---: a submission each",
        table(
            {"email": "Osallistujat.E-mail", "given_name": "Osallistujat.First name"},
            consents=[],
            arrangement={"items": {"column": "Osallistujat", "form": "text", "columns": ["First name", "E-mail"]}},
        ),
        'Submission ID,Completed,Osallistujat\n1,2026-01-05 10:01:40,"First name: Aino\nE-mail: aino@example.org\n---\nFirst name: Olavi\nE-mail: olavi@example.org"\n',
    ),
    text(
        "webform_composite_with_unknown_label",
        "B1 a part of a composite that nobody mapped stops the batch",
        table(
            {"email": "Osallistujat.E-mail"},
            consents=[],
            arrangement={"items": {"column": "Osallistujat", "form": "text", "columns": ["E-mail"]}},
        ),
        'Submission ID,Completed,Osallistujat\n1,2026-01-05 10:01:40,"E-mail: aino@example.org\nDiet: vegaani"\n',
    ),
    text(
        "webform_likert",
        "B1 likert: a column a question",
        table(MAIL, answers={"Arvio: Opetus": "teaching"}),
        f"{HEAD},Arvio: Opetus\n{ROW},Hyvä\n",
    ),
    text(
        "webform_checkbox_as_text",
        "B1 a checkbox as text, translated",
        table(MAIL, consents=[consent("Uutiskirje", "Kyllä", silent=["Ei"])]),
        f"{HEAD},Uutiskirje\n{ROW},Kyllä\n2,2026-01-05 10:02:00,olavi@example.org,Ei\n",
    ),
    text(
        "webform_without_uuid_and_form",
        "B1 the default drops uuid and form: the key is the feed's name and the sid",
        table(MAIL),
        f"{HEAD}\n{ROW}\n",
    ),
    text(
        "webform_base_columns",
        "B1 the module's own columns, known and dropped",
        table(
            MAIL,
            ignored=[
                "Serial number",
                "Submission UUID",
                "Submission URI",
                "Created",
                "Changed",
                "Current page",
                "Remote IP address",
                "Submitted by: ID",
                "Language",
                "Locked",
                "Sticky",
                "Notes",
            ],
        ),
        "Serial number,Submission ID,Submission UUID,Submission URI,Created,Completed,Changed,Current page,Remote IP address,Submitted by: ID,Language,Locked,Sticky,Notes,E-mail\n7,1,0c1f,/form/a,2026-01-05 10:00:00,2026-01-05 10:01:40,2026-01-05 10:01:40,,192.0.2.1,0,fi,No,No,,aino@example.org\n",
    ),
]

DOCUMENTS: list[Case] = [
    document(
        "webform_submission",
        "B2 one submission; token and address of the sender are never read",
        form(EMAIL),
        submission(1, AINO),
    ),
    document(
        "webform_submissions",
        "B2 a list of submissions; an unticked box is 0 and says nothing",
        form(EMAIL),
        [submission(1, AINO), submission(2, OLAVI)],
    ),
    document(
        "webform_empty_data",
        "B2 an empty object is written as []",
        form(EMAIL, optional=["data.sahkoposti", "data.uutiskirje"]),
        submission(1, []),
    ),
    document("webform_draft", "B2 in_draft", form(EMAIL), submission(1, AINO, in_draft="1")),
    document(
        "webform_composite",
        "B2, B5 webform_contact: a composite is an object",
        form(
            {"email": "data.contact.email", "organisation": "data.contact.company", "city": "data.contact.city"},
            consents=[],
        ),
        submission(1, {"contact": {"email": "aino@example.org", "company": "Yritys Oy", "city": "Pori"}}),
    ),
    document(
        "webform_composites_as_list",
        "B2 several composites are a list: a submission each",
        form(
            {"email": "data.osallistujat.email", "given_name": "data.osallistujat.nimi"},
            consents=[],
            arrangement={"items": {"column": "data.osallistujat", "columns": ["nimi", "email"]}},
        ),
        submission(
            1,
            {
                "osallistujat": [
                    {"nimi": "Aino", "email": "aino@example.org"},
                    {"nimi": "Olavi", "email": "olavi@example.org"},
                ]
            },
        ),
    ),
    document(
        "webform_options_as_list",
        "B2 ticked options are a list",
        form(
            EMAIL,
            arrangement={"options": [{"column": "data.aiheet", "options": ["koulutus", "tapahtumat"]}]},
            consents=[consent("data.aiheet:koulutus", "koulutus", topic="training")],
        ),
        submission(1, {"sahkoposti": "aino@example.org", "aiheet": ["koulutus", "tapahtumat"]}),
    ),
    document(
        "webform_likert_object",
        "B2 likert is an object",
        form(EMAIL, consents=[], answers={"data.arvio.opetus": "teaching"}),
        submission(1, {"sahkoposti": "aino@example.org", "arvio": {"opetus": "3"}}),
    ),
    document(
        "webform_deleted",
        "B3 the deleted state: an erasure signal, which lowers and is never a grant",
        form(EMAIL, erased={"column": "state", "values": ["deleted"]}),
        {**submission(1, AINO), "state": "deleted"},
    ),
    document(
        "webform_completed_state",
        "B3 another state is no erasure",
        form(EMAIL, erased={"column": "state", "values": ["deleted"]}),
        {**submission(1, AINO), "state": "completed"},
    ),
    document(
        "webform_pushed_file",
        "B3 a push with the uploaded file in it (file_data is on by default): not mapped, so not taken",
        form(EMAIL),
        {**submission(1, AINO), "_liite": {"data": "QUJD", "mime": "application/pdf"}},
    ),
    document(
        "webform_pushed_flat",
        "B3 a push without the module's own fields: no sid, no time; the yes counts for nothing",
        form(
            {"email": "sahkoposti"},
            key=None,
            changed_at=None,
            drafts=None,
            submitted_at={"column": "completed", "formats": ["unix"]},
            optional=["completed"],
            consents=[consent("uutiskirje", "1", silent=["0"])],
        ),
        AINO,
    ),
    document(
        "webform_pushed_overridden",
        "B3 an element named created overrides the module's own field",
        form(
            {"email": "sahkoposti"},
            key=None,
            changed_at=None,
            drafts=None,
            submitted_at={"column": "completed", "formats": ["unix"]},
            consents=[],
            answers={"created": "when"},
        ),
        {"sahkoposti": "aino@example.org", "completed": "1767600100", "created": "viime vuonna"},
    ),
    document(
        "webform_of_another_form",
        "B5 the same key in another form means something else: not read",
        form(EMAIL, form={"column": "webform_id", "values": ["yhteydenotto"]}),
        submission(1, AINO, webform_id="palaute"),
    ),
    document(
        "webform_of_its_form",
        "B5 the form it was mapped for",
        form(EMAIL, form={"column": "webform_id", "values": ["yhteydenotto"]}),
        submission(1, AINO),
    ),
    document(
        "webform_key_with_newsletter_in_it",
        "B5 a key that contains uutiskirje is a textarea: nothing is found by part of a key",
        form({**EMAIL, "message": "data.ehdota_juttua_uutiskirjeeseen"}, consents=[], kind="enquiry"),
        submission(1, {"sahkoposti": "aino@example.org", "ehdota_juttua_uutiskirjeeseen": "1"}),
    ),
    document(
        "webform_read_the_notice",
        "B5 having read the notice is no consent",
        form(EMAIL, consents=[], ignored=["data.olen_tutustunut_rekisteriselosteeseen"]),
        submission(1, {"sahkoposti": "aino@example.org", "olen_tutustunut_rekisteriselosteeseen": "1"}),
    ),
    document(
        "webform_subscribe_template",
        "B5 template_subscribe: submitting is the opt-in",
        form(
            {"email": "data.email", "given_name": "data.first_name", "family_name": "data.last_name"},
            consents=[consent(None)],
        ),
        submission(1, {"first_name": "Aino", "last_name": "Virtanen", "email": "aino@example.org"}),
    ),
    document(
        "webform_single_name",
        "B5 one full name; its order is declared",
        form({**EMAIL, "full_name": {"column": "data.nimi", "order": "given_family"}}, consents=[]),
        submission(1, {"sahkoposti": "aino@example.org", "nimi": "Aino Virtanen"}),
    ),
    document(
        "webform_long_key",
        "B5 keys are cut at 64 characters",
        form(
            EMAIL,
            consents=[],
            answers={"data.haluan_liittya_osaksi_digituen_verkostoa_kerro_toiminnastasi_ja_": "more"},
        ),
        submission(
            1,
            {
                "sahkoposti": "aino@example.org",
                "haluan_liittya_osaksi_digituen_verkostoa_kerro_toiminnastasi_ja_": "Kyllä",
            },
        ),
    ),
    document(
        "webform_identity_code_in_text",
        "B5 a textarea that asks for an identity code: cut out",
        form({**EMAIL, "message": "data.viesti"}, consents=[], kind="enquiry"),
        submission(1, {"sahkoposti": "aino@example.org", "viesti": "Tunnus 131052-308T, kiitos"}),
    ),
    document(
        "webform_real_form",
        "B5 a real form's keys (samples/drupal_webform): two boxes that are no marketing",
        form(
            {
                "email": "data.sahkopostiosoite",
                "full_name": {"column": "data.nimi", "order": "given_family"},
                "phone": "data.puhelinnumero",
                "organisation": "data.organisaatio",
                "message": "data.palautetta_ja_kysymyksia",
            },
            kind="enquiry",
            consents=[],
            ignored=[
                "data.haluan_mukaan_digituen_toimintaan",
                "data.haluan_mukaan_verkostoihin",
                "data.ehdota_juttua_digituen_uutiskirjeeseen_blogiin",
            ],
        ),
        submission(
            1,
            {
                "nimi": "Aino Virtanen",
                "sahkopostiosoite": "aino@example.org",
                "puhelinnumero": "",
                "organisaatio": "Yritys Oy",
                "haluan_mukaan_digituen_toimintaan": "1",
                "haluan_mukaan_verkostoihin": "0",
                "ehdota_juttua_digituen_uutiskirjeeseen_blogiin": "",
                "palautetta_ja_kysymyksia": "Hei",
            },
        ),
    ),
]

PACKED: list[Case] = [
    packed(
        "webform_json.tar",
        "B1 the json exporter: a document each in a tar",
        form(EMAIL),
        {"submission-1.json": submission(1, AINO), "submission-2.json": submission(2, OLAVI)},
    ),
    packed(
        "webform_json.tar.gz",
        "B1 the same, compressed",
        form(EMAIL),
        {
            "submission-1.json": submission(1, AINO),
            "submission-2.json": submission(2, OLAVI),
            "readme.txt": "no submission",
        },
    ),
    Case(
        "webform_yaml.json",
        "B1 the yaml exporter: refused, exported as JSON it is read",
        form(EMAIL),
        b"serial: '1'\nsid: '1'\ndata:\n  sahkoposti: aino@example.org\n",
    ),
    packed("webform_json.zip", "B1 the same in a zip", form(EMAIL), {"submission-1.json": submission(1, AINO)}),
    packed(
        "webform_json_cut.tar.gz",
        "F6 an archive that is not whole",
        form(EMAIL),
        {"submission-1.json": submission(1, AINO)},
        cut=40,
    ),
    packed(
        "webform_json_cut.zip",
        "F6 an archive that is not whole",
        form(EMAIL),
        {"submission-1.json": submission(1, AINO)},
        cut=40,
    ),
]

API = {"file": None, "api": {"resource": "yhteydenotto"}}
PULLS: list[Case] = [
    pulled(
        "webform_rest",
        "B4 webform_rest: fields as lists of values",
        form(EMAIL, **API),
        [entity(1, AINO)],
        ["sahkoposti", "uutiskirje"],
    ),
    pulled(
        "webform_rest_known_label",
        "B5 allow-list by form, key and label: the label is the one that was mapped",
        form(EMAIL, **API, consents=BY_LABEL),
        [entity(1, AINO)],
        [["sahkoposti", "Sähköposti"], ["uutiskirje", f"<b>{LABEL}&nbsp;</b>"]],
    ),
    pulled(
        "webform_rest_changed_label",
        "B5 the same key with another label: the yes is held back, not the load",
        form(EMAIL, **API, consents=BY_LABEL),
        [entity(1, AINO), entity(2, OLAVI)],
        [["sahkoposti", "Sähköposti"], ["uutiskirje", "Sanastot-työkalu"]],
    ),
    pulled(
        "webform_rest_without_labels",
        "B5 a label that nobody tells is not known to be the one",
        form(EMAIL, **API, consents=BY_LABEL),
        [entity(1, AINO)],
        ["sahkoposti", "uutiskirje"],
    ),
    document(
        "webform_pushed_label",
        "B3, B5 the label sent with the push, as text or hash",
        form(
            EMAIL,
            consents=[
                consent("data.uutiskirje", "1", silent=["0"], label_hash=label_hash(LABEL), label_column="consent_text")
            ],
        ),
        [
            {**submission(1, AINO), "consent_text": LABEL},
            {**submission(2, AINO), "consent_text": label_hash(LABEL)},
            {**submission(3, AINO), "consent_text": "Muu teksti"},
        ],
    ),
]

CASES: list[Case] = [*EXPORTS, *DOCUMENTS, *PACKED, *PULLS]
