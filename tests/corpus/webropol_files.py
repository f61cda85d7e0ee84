"""Webropol's exports of surveys: every shape that was seen in life (facts A1, A2)."""

from datetime import datetime
from typing import Any

from tests.corpus.cases import Case, book, consent, feed, on_sheets, prohibition, text

PERSON = {
    "email": "Yhteystiedot:Sähköposti",
    "given_name": "Yhteystiedot:Etunimi",
    "family_name": "Yhteystiedot:Sukunimi",
}
BARE = {"email": "Sähköposti", "given_name": "Etunimi", "family_name": "Sukunimi"}
TIME = {"column": "Vastausaika", "formats": ["fi_datetime", "fi_date"]}
TICK = "Haluan uutiskirjeen"


def survey(fields: dict[str, Any] = PERSON, **changes: Any) -> dict[str, Any]:
    plain = {"submitted_at": TIME, "consents": [consent(f"Luvat:{TICK}", TICK)]}
    return feed("webropol", "survey", fields, **{**plain, **changes})


def csv(export: str | None = "text", **changes: Any) -> dict[str, Any]:
    return {"type": "csv", "pattern": "*.csv", "export": export, **changes}


def xlsx(export: str | None = "text", **changes: Any) -> dict[str, Any]:
    return {"type": "xlsx", "pattern": "*.xlsx", "export": export, **changes}


def with_layout(**layout: Any) -> dict[str, Any]:
    return csv(layout=layout)


HEAD = "Vastausaika;Yhteystiedot:Etunimi;Yhteystiedot:Sukunimi;Yhteystiedot:Sähköposti"
AINO, OLAVI = "Aino;Virtanen;aino@example.org", "Olavi;Öhman;olavi@example.org"
NUMBERS = [consent(f"Luvat:{TICK}", "1", silent=["0"])]
TOPICS = {"arrangement": {"options": [{"column": "Aiheet", "options": ["1", "3", "8"]}]}}
TOPIC_CONSENTS = [consent("Aiheet:1", "1", topic="training"), consent("Aiheet:3", "3", topic="events")]

EXPORTS = [
    text(
        "as_text",
        "A1 answers as text: the tick is the option's own text",
        survey(file=csv()),
        f"{HEAD};Luvat:{TICK}\n12.1.2026 9.05;{AINO};{TICK}\n12.1.2026 10.61;{OLAVI};\n",
    ),
    text(
        "as_numbers",
        "A1 answers as numbers: a 1 is a tick only because the mapping says so",
        survey(file=csv("numbers"), consents=NUMBERS),
        f"{HEAD};Luvat:{TICK}\n12.1.2026 9.05;{AINO};1\n12.1.2026 9.06;{OLAVI};0\n",
    ),
    text(
        "numbers_where_text_was_agreed",
        "A1 the same survey exported the other way: a 1 is not read as a yes",
        survey(file=csv()),
        f"{HEAD};Luvat:{TICK}\n12.1.2026 9.05;{AINO};1\n",
    ),
    text(
        "text_where_numbers_were_agreed",
        "A1 the other way round: a text is no number",
        survey(file=csv("numbers"), consents=NUMBERS),
        f"{HEAD};Luvat:{TICK}\n12.1.2026 9.05;{AINO};{TICK}\n",
    ),
    text(
        "blank_cells_as_zeros",
        "A1 blank cells shown as zeros are no answer",
        survey(file=csv("numbers"), consents=NUMBERS),
        f"{HEAD};Luvat:{TICK}\n12.1.2026 9.05;{AINO};0\n",
    ),
    text(
        "without_response_time",
        "A1 exported without the response time: a grant without a time is none",
        survey(file=csv(), optional=["Vastausaika"]),
        f"{HEAD[12:]};Luvat:{TICK}\n{AINO};{TICK}\n",
    ),
    Case(
        "questions_on_own_sheets.xlsx",
        "A1 each question on a sheet of its own: nobody's answers stand together, refused",
        survey(file=xlsx()),
        on_sheets({"Sukupuoli": [["Vastaus", "n"], ["Nainen", 2]], "Luvat": [["Vastaus", "n"], [TICK, 1]]}),
    ),
    Case(
        "spss_named_csv.csv",
        "A1 exported for SPSS: no table that is read, refused",
        survey(file=csv()),
        b"$FL2@(#) IBM SPSS STATISTICS 64-bit MS Windows 26.0.0.0" + bytes(range(4)) * 8,
    ),
    text(
        "with_respondent_email",
        "A1 the respondent's e-mail of a personal link, known and dropped",
        survey(file=csv(), ignored=["Vastaajan sähköposti"]),
        f"{HEAD};Luvat:{TICK};Vastaajan sähköposti\n12.1.2026;{AINO};{TICK};aino@example.org\n",
    ),
    text(
        "delimited_by_commas",
        "A1 the delimiter is the mapping's",
        survey(file=csv(delimiter=",")),
        f"{HEAD};Luvat:{TICK}\n12.1.2026 9.05;{AINO};{TICK}\n".replace(";", ","),
    ),
    text(
        "delimited_by_tabs",
        "A1 the delimiter is the mapping's",
        survey(file=csv(delimiter="\t")),
        f"{HEAD};Luvat:{TICK}\n12.1.2026 9.05;{AINO};{TICK}\n".replace(";", "\t"),
    ),
    text(
        "another_delimiter_than_agreed",
        "A1 a comma where the mapping says semicolon is named, not guessed",
        survey(file=csv()),
        f"{HEAD};Luvat:{TICK}\n12.1.2026;{AINO};{TICK}\n".replace(";", ","),
    ),
    text(
        "with_byte_order_mark",
        "A1 UTF-8 with byte order mark",
        survey(file=csv()),
        f"{HEAD};Luvat:{TICK}\n12.1.2026 9.05;{OLAVI};{TICK}\n",
        encoding="utf-8-sig",
    ),
]

TIMES = [
    text(
        "finnish_times",
        "A2 fi date text, with and without a clock; an impossible minute is quarantined, not guessed",
        survey(file=csv()),
        f"{HEAD};Luvat:{TICK}\n12.1.2026;{AINO};{TICK}\n12.1.2026 klo 9.05;{OLAVI};{TICK}\n1.15.2026 10.61;Eeva;Aho;eeva@example.org;{TICK}\n",
    ),
    text(
        "month_first_time",
        "A2 month first: no such month, so no time, and no grant without one",
        survey(file=csv()),
        f"{HEAD};Luvat:{TICK}\n1.15.2026 10.41;{AINO};{TICK}\n",
    ),
    text(
        "impossible_minute",
        "A2 the day can be, the minute cannot",
        survey(file=csv()),
        f"{HEAD};Luvat:{TICK}\n15.1.2026 10.61;{AINO};{TICK}\n",
    ),
    text(
        "swedish",
        "A2 sv: Svarstid, Ja och Nej",
        survey(
            {"email": "Kontakt:E-post"},
            file=csv(),
            submitted_at={"column": "Svarstid", "formats": ["sv_datetime"]},
            consents=[consent("Får vi skicka nyhetsbrev?", "Ja", refuses=["Nej"])],
        ),
        "Svarstid;Kontakt:E-post;Får vi skicka nyhetsbrev?\n2026-08-23 08:11;lars@example.org;Ja\n2026-08-23 8:12;britta@example.org;Nej\n",
    ),
    text(
        "english",
        "A2 en: Response time",
        survey(
            {"email": "Contact:E-mail"},
            file=csv(),
            submitted_at={"column": "Response time", "formats": ["iso"]},
            consents=[consent("May we write?", "Yes", refuses=["No"])],
        ),
        "Response time;Contact:E-mail;May we write?\n2026-08-23 08:11:05;ann@example.org;Yes\n",
    ),
    book(
        "true_datetimes",
        "A2 a workbook may hold a true date and time",
        survey(file=xlsx(), submitted_at={"column": "Vastausaika"}),
        [[*HEAD.split(";"), f"Luvat:{TICK}"], [datetime(2026, 1, 12, 9, 5), *AINO.split(";"), TICK]],
    ),
    book(
        "serial_times",
        "D3 a time that lost its format is a serial number",
        survey(file=xlsx(), submitted_at={"column": "Vastausaika", "formats": ["excel_serial"]}),
        [[*HEAD.split(";"), f"Luvat:{TICK}"], [46034.378472222, *AINO.split(";"), TICK]],
    ),
]

QUESTIONS = [
    text(
        "contact_block",
        "A2 one column per field of the contact question",
        survey(
            {
                **PERSON,
                "phone": "Yhteystiedot:Puhelinnumero",
                "organisation": "Yhteystiedot:Yhdistyksen/Yrityksen nimi",
                "postal_code": "Yhteystiedot:Postinumero",
                "city": "Yhteystiedot:Postitoimipaikka",
                "business_id": "Yhteystiedot:Y-tunnus",
            },
            file=csv(),
            ignored=["Yhteystiedot:Postiosoite"],
            consents=[],
        ),
        f"{HEAD};Yhteystiedot:Puhelinnumero;Yhteystiedot:Postiosoite;Yhteystiedot:Postinumero;Yhteystiedot:Postitoimipaikka;Yhteystiedot:Yhdistyksen/Yrityksen nimi;Yhteystiedot:Y-tunnus\n"
        f"12.1.2026;{AINO};044 955 1234;Katu 1;00100;HELSINKI;Yritys Oy;2617416-4\n",
    ),
    text(
        "contact_without_title",
        "A2 contact question without a title: bare Etunimi;Sukunimi",
        survey(BARE, file=csv(), consents=[]),
        "Vastausaika;Etunimi;Sukunimi;Sähköposti\n12.1.2026;Aino;Virtanen;aino@example.org\n",
    ),
    text(
        "option_columns",
        "A2 multi-select, one column per option",
        survey(
            file=csv(),
            consents=[
                consent("Aiheet:Koulutus", "Koulutus", topic="training"),
                consent("Aiheet:Tapahtumat", "Tapahtumat", topic="events"),
            ],
        ),
        f"{HEAD};Aiheet:Koulutus;Aiheet:Tapahtumat\n12.1.2026 9.05;{AINO};Koulutus;\n12.1.2026 9.05;{OLAVI};;Tapahtumat\n",
    ),
    text(
        "list_of_numbers",
        'A2 multi-select in one quoted cell "1;3;8"',
        survey(file=csv("numbers"), consents=TOPIC_CONSENTS, **TOPICS),
        f'{HEAD};Aiheet\n12.1.2026 9.05;{AINO};"1;3;8"\n12.1.2026 9.05;{OLAVI};8\n',
    ),
    text(
        "list_with_unknown_number",
        "A2 an option that the mapping does not know costs none of the others",
        survey(file=csv("numbers"), consents=TOPIC_CONSENTS, **TOPICS),
        f'{HEAD};Aiheet\n12.1.2026 9.05;{AINO};"1;9"\n',
    ),
    text(
        "list_that_a_spreadsheet_made_a_number",
        "A2 one option alone comes as a number",
        survey(file=csv("numbers"), consents=TOPIC_CONSENTS, **TOPICS),
        f"{HEAD};Aiheet\n12.1.2026 9.05;{AINO};3\n",
    ),
    text(
        "matrix",
        "A2 matrix: a column per row of it, scale text or number, -1 for don't know",
        survey(file=csv(), consents=[], answers={"Arvio:Ruoka": "food", "Arvio:Tila": "place"}),
        f"{HEAD};Arvio:Ruoka;Arvio:Tila\n12.1.2026;{AINO};5 Erinomainen;-1\n",
    ),
    text(
        "option_text_fields",
        "A2 the text field of an option is a column of its own (fi, sv, en)",
        survey(
            file=csv(),
            consents=[],
            answers={
                "Mistä:Muu Avoimet vastaukset": "other (fi)",
                "Mistä:Muu Öppna svar": "other (sv)",
                "Mistä:Muu Open text answers": "other (en)",
            },
            ignored=["Mistä:Muu"],
        ),
        f"{HEAD};Mistä:Muu;Mistä:Muu Avoimet vastaukset;Mistä:Muu Öppna svar;Mistä:Muu Open text answers\n12.1.2026;{AINO};Muu;lehti;tidning;paper\n",
    ),
    text(
        "trailing_colons",
        "A2 trailing colons belong to the title",
        survey(file=csv(), consents=[], answers={"Muu, mikä?:": "other", "Osallistujien lukumäärä:": "number"}),
        f"{HEAD};Muu, mikä?:;Osallistujien lukumäärä:\n12.1.2026;{AINO};bussi;12\n",
    ),
    text(
        "leading_colon",
        "A2 a field without a label: leading colon",
        survey(file=csv(), consents=[], answers={":Voimassa alkaen": "valid from"}),
        f"{HEAD};:Voimassa alkaen\n12.1.2026;{AINO};1.2.2026\n",
    ),
    text(
        "colons_in_titles",
        "A2 a colon inside a title does not split it",
        survey(file=csv(), consents=[consent("Lupa: saako lähettää? Vastaa: kyllä tai ei", "Kyllä")]),
        f"{HEAD};Lupa: saako lähettää? Vastaa: kyllä tai ei\n12.1.2026 9.05;{AINO};Kyllä\n",
    ),
    text(
        "blank_title",
        "A2 an empty title is one no-break space",
        survey(file=csv(), consents=[], answers={"(untitled)": "untitled"}),
        f"{HEAD};\xa0\n12.1.2026;{AINO};jotain\n",
    ),
    text(
        "two_blank_titles",
        "A2 several empty titles are told apart",
        survey(file=csv(), consents=[], answers={"(untitled) #2": "second"}, ignored=["(untitled)"]),
        f"{HEAD};\xa0;\n12.1.2026;{AINO};a;b\n",
    ),
    text(
        "identical_titles",
        "A2 fully identical titles (Jag är;Jag är)",
        survey(file=csv(), consents=[], answers={"Jag är": "first", "Jag är #2": "second"}),
        f"{HEAD};Jag är;Jag är\n12.1.2026;{AINO};lärare;rektor\n",
    ),
    text(
        "titles_alike_but_for_spaces",
        "A2 titles that differ in spaces only are identical",
        survey(file=csv(), consents=[], answers={"Jag är": "first", "Jag är #2": "second"}),
        f"{HEAD};Jag är;Jag  är \n12.1.2026;{AINO};lärare;rektor\n",
    ),
    text(
        "repeated_blocks",
        "A2 repeated blocks, numbered by the survey",
        survey(file=csv(), consents=[], answers={"1. Rakennuksen tyyppi": "first", "2. Rakennuksen tyyppi": "second"}),
        f"{HEAD};1. Rakennuksen tyyppi;2. Rakennuksen tyyppi\n12.1.2026;{AINO};talo;halli\n",
    ),
    text(
        "spaces_in_titles",
        "A2 trailing, double and no-break spaces in titles",
        survey(file=csv(), consents=[], answers={"Kompostorin sijainti Kunta": "municipality", "Lisätieto": "more"}),
        f"{HEAD};Kompostorin sijainti  Kunta;Lisätieto\xa0 \n12.1.2026;{AINO};Pori;ei\n",
    ),
    text(
        "sentence_of_the_form",
        "A2 the box that confirms the form repeats its sentence and is no consent to marketing",
        survey(file=csv(), ignored=["Lomakkeen lähetys:Olen lukenut ohjeet ja vakuutan antamani tiedot oikeiksi."]),
        f"{HEAD};Luvat:{TICK};Lomakkeen lähetys:Olen lukenut ohjeet ja vakuutan antamani tiedot oikeiksi.\n12.1.2026;{AINO};;Olen lukenut ohjeet ja vakuutan antamani tiedot oikeiksi.\n",
    ),
    text(
        "sentence_as_consent",
        "A2 a ticked box holds its own sentence, a blank one says nothing",
        survey(
            file=csv(), consents=[consent("Uutiskirje:Haluan uutiskirjeen, kiitos.", "Haluan uutiskirjeen, kiitos.")]
        ),
        f"{HEAD};Uutiskirje:Haluan uutiskirjeen, kiitos.\n12.1.2026 9.05;{AINO};Haluan uutiskirjeen, kiitos.\n12.1.2026 9.05;{OLAVI};\n",
    ),
    text(
        "ranking",
        'A2 ranking: "1." and "2." are texts',
        survey(file=csv(), consents=[], answers={"Tärkeys:Hinta": "price"}),
        f'{HEAD};Tärkeys:Hinta\n12.1.2026;{AINO};"1."\n',
    ),
    text(
        "uploaded_file",
        "A2 the link of an uploaded file is dropped: it opens to whoever has it",
        survey(file=csv(), consents=[], ignored=["Liite"]),
        f"{HEAD};Liite\n12.1.2026;{AINO};https://files.example.org/GetStoredFile?id=1\n",
    ),
    text(
        "language_column",
        "A2 a Language column in one survey",
        survey(file=csv(), ignored=["Language"]),
        f"{HEAD};Luvat:{TICK};Language\n12.1.2026;{AINO};{TICK};fi-FI\n",
    ),
    text(
        "prohibition_left_blank",
        "0.9 the flag is a prohibition: blank gives nothing, a tick withdraws",
        survey(file=csv(), consents=[prohibition("Markkinointikielto", "Kyllä")]),
        f"{HEAD};Markkinointikielto\n12.1.2026 9.05;{AINO};\n12.1.2026 9.05;{OLAVI};Kyllä\n",
    ),
    book(
        "postal_codes_as_numbers",
        "A2, D3 postal codes and phones that a spreadsheet made numbers",
        survey(
            {**PERSON, "postal_code": "Yhteystiedot:Postinumero", "phone": "Yhteystiedot:Puhelin"},
            file=xlsx(),
            submitted_at={"column": "Vastausaika"},
            consents=[],
        ),
        [
            [*HEAD.split(";"), "Yhteystiedot:Postinumero", "Yhteystiedot:Puhelin"],
            [datetime(2026, 1, 12, 9, 5), *AINO.split(";"), 100, 449551234],
            [datetime(2026, 1, 12, 9, 6), *OLAVI.split(";"), 15100, 449551234.5],
        ],
    ),
    text(
        "renamed_question",
        "A2 a renamed question stops the batch, with both names",
        survey(file=csv()),
        f"{HEAD};Luvat:Haluan uutiskirjeen!\n12.1.2026;{AINO};x\n",
    ),
    text(
        "new_question",
        "A2 a question that nobody mapped stops the batch by name",
        survey(file=csv()),
        f"{HEAD};Luvat:{TICK};Kengännumero\n12.1.2026;{AINO};;43\n",
    ),
]

LAYOUTS = [
    text(
        "second_header_row",
        "A2 a second header row below the titles is dropped where the mapping says so",
        survey(file=with_layout(second_row="dropped")),
        f"{HEAD};Luvat:{TICK}\n;Etunimi;Sukunimi;Sähköposti;{TICK}\n12.1.2026 9.05;{AINO};{TICK}\n",
    ),
    text(
        "second_header_row_that_is_an_answer",
        "A2 a row that is to be dropped and holds an address is an answer: refused, so that nobody is lost",
        survey(file=with_layout(second_row="dropped")),
        f"{HEAD};Luvat:{TICK}\n12.1.2026 9.05;{AINO};{TICK}\n",
    ),
    text(
        "two_row_header",
        "A2 question titles with blanks above a row of sub-questions",
        survey(file=with_layout(second_row="joined")),
        f"Vastausaika;Yhteystiedot;;;Luvat\n;Etunimi;Sukunimi;Sähköposti;{TICK}\n12.1.2026 9.05;{AINO};{TICK}\n",
    ),
    text(
        "code_row_above",
        "A2 a row of codes above the titles",
        survey(file=csv(header_row=2)),
        f"q0;q1_1;q1_2;q1_3;q2_1\n{HEAD};Luvat:{TICK}\n12.1.2026 9.05;{AINO};{TICK}\n",
    ),
    text(
        "summary_rows",
        "A2 summary rows and blank rows at the end are no answers",
        survey(file=with_layout(summary=["Yhteensä", "Keskiarvo"])),
        f"{HEAD};Luvat:{TICK}\n12.1.2026 9.05;{AINO};{TICK}\n;;;;\nYhteensä;1;1;1;1\nKeskiarvo;;;;1,0\n;;;;\n",
    ),
    text(
        "summary_word_inside",
        "A2 a row that begins with the word but has answers below it is kept",
        survey(BARE, file=with_layout(summary=["Yhteensä"]), consents=[], key=["Nro"]),
        "Nro;Vastausaika;Etunimi;Sukunimi;Sähköposti\nYhteensä;12.1.2026;Aino;Virtanen;aino@example.org\n2;12.1.2026;Olavi;Öhman;olavi@example.org\n",
    ),
    text(
        "blank_rows",
        "A2 wholly blank rows are no submissions",
        survey(file=csv()),
        f"{HEAD};Luvat:{TICK}\n12.1.2026 9.05;{AINO};{TICK}\n;;;;\n;;;;\n",
    ),
    book(
        "summary_in_a_workbook",
        "A2 the same in a workbook",
        survey(file=xlsx(layout={"summary": ["Yhteensä"]}), submitted_at={"column": "Vastausaika"}),
        [
            [*HEAD.split(";"), f"Luvat:{TICK}"],
            [datetime(2026, 1, 12, 9, 5), *AINO.split(";"), TICK],
            [],
            ["Yhteensä", 1, 1, 1, 1],
        ],
    ),
    book(
        "two_row_header_in_a_workbook",
        "A2 the same in a workbook",
        survey(file=xlsx(layout={"second_row": "joined"}), submitted_at={"column": "Vastausaika"}),
        [
            ["Vastausaika", "Yhteystiedot", "", "", "Luvat"],
            ["", "Etunimi", "Sukunimi", "Sähköposti", TICK],
            [datetime(2026, 1, 12, 9, 5), *AINO.split(";"), TICK],
        ],
    ),
    text(
        "fewer_cells_than_titles",
        "F6 a row with fewer cells than titles: the file is cut short",
        survey(file=csv()),
        f"{HEAD};Luvat:{TICK}\n12.1.2026;Aino\n",
    ),
    text(
        "more_cells_than_titles",
        "F6 a row with more cells than titles",
        survey(file=csv()),
        f"{HEAD};Luvat:{TICK}\n12.1.2026;{AINO};{TICK};x;y\n",
    ),
    text(
        "no_title_row_found",
        "A4 titles that are looked for and not there",
        survey(file=with_layout(found_by=["#", "Sähköposti"])),
        f"{HEAD};Luvat:{TICK}\n12.1.2026;{AINO};{TICK}\n",
    ),
]

CASES: list[Case] = [*EXPORTS, *TIMES, *QUESTIONS, *LAYOUTS]
