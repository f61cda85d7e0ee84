"""Webropol's event exports and rows of several people (facts A4, the last rows of A2)."""

from typing import Any

from tests.corpus.cases import EVENT, Case, consent, feed, text

TIME = {"column": "Ilmoittautumisaika", "formats": ["fi_datetime"]}
STATUS = {
    "column": "Tila",
    "values": {
        "Ilmoittautunut": "active",
        "Vahvistettu": "active",
        "Maksettu": "active",
        "Jonossa": "waitlisted",
        "Peruttu": "cancelled",
        "Peruutettu": "cancelled",
    },
}
BOOKER = {"Oma sähköposti": "Sähköposti", "Oma etunimi": "Etunimi", "Oma sukunimi": "Sukunimi"}
ATTENDEE = {"Oma sähköposti": "Sähköposti #2", "Oma etunimi": "Etunimi #2", "Oma sukunimi": "Sukunimi #2"}
OWN = {"email": "Oma sähköposti", "given_name": "Oma etunimi", "family_name": "Oma sukunimi"}
NEWS = consent("Uutiskirje", "Kyllä", refuses=["Ei"], given_by="booker")


def event(**changes: Any) -> dict[str, Any]:
    """An event's list, its titles found by `#` and Sähköposti, with booker and attendee."""
    plain: dict[str, Any] = {
        "file": {
            "type": "csv",
            "pattern": "*.csv",
            "layout": {"found_by": ["#", "Sähköposti"], "second_row": "dropped"},
        },
        "key": ["#"],
        "submitted_at": TIME,
        "occasion": EVENT,
        "registration": {"status": STATUS},
        "consents": [NEWS],
        "ignored": ["Ruokarajoitteet"],
        "arrangement": {
            "blocks": [
                {"id": "booker", "columns": BOOKER, "registers": "if_alone"},
                {"id": "attendee", "columns": ATTENDEE},
            ]
        },
    }
    return feed("webropol", "event_registration", OWN, **{**plain, **changes})


def one_person(**changes: Any) -> dict[str, Any]:
    """The list of an event whose form names the attendee only: the last block."""
    fields = {"email": "Sähköposti #2", "given_name": "Etunimi #2", "family_name": "Sukunimi #2"}
    changes = {"ignored": ["Sähköposti", "Etunimi", "Sukunimi", "Ruokarajoitteet"], **changes}
    return {
        **event(arrangement={}, **changes),
        "fields": {n: {"column": c} for n, c in fields.items()},
    }


METADATA = ";Tapahtuma;Päivä 2026\n;Tulostettu;20.11.2026\n;Ilmoittautuneita;2\n"
TITLES = (
    "#;Ilmoittautumisaika;Etunimi;Sukunimi;Sähköposti;Tila;Etunimi;Sukunimi;Sähköposti;Uutiskirje;Ruokarajoitteet\n"
)
SECOND = "-;-;-;-;-;-;Osallistuja;Osallistuja;Osallistuja;-;-\n"
AINO, OLAVI = "Aino;Virtanen;aino@example.org", "Olavi;Öhman;olavi@example.org"


def rows(*lines: str) -> str:
    return METADATA + TITLES + SECOND + "".join(f"{line}\n" for line in lines)


def status(word: str) -> str:
    return rows(f"1;5.11.2026 9.05;;;;{word};{AINO};;")


CASES: list[Case] = [
    text(
        "event_booker_and_attendee",
        "A4 the booker's tick is the booker's; the attendee is registered and consents to nothing",
        event(),
        rows(f"1;5.11.2026 9.05;{AINO};Vahvistettu;{OLAVI};Kyllä;vegaani"),
    ),
    text(
        "event_booker_alone",
        "A4 no attendee named: the booker attends",
        event(),
        rows(f"1;5.11.2026 9.05;{AINO};Ilmoittautunut;;;;Kyllä;"),
    ),
    text(
        "event_booker_is_attendee",
        "A4 the same person in both blocks",
        event(),
        rows(f"1;5.11.2026 9.05;{AINO};Maksettu;{AINO};Kyllä;"),
    ),
    text(
        "event_nobody",
        "A4 a row without any person is kept and named",
        event(),
        rows("1;5.11.2026 9.05;;;;Ilmoittautunut;;;;;"),
    ),
    text(
        "event_last_block",
        "A4 the last Etunimi/Sukunimi/Sähköposti is the attendee's; a booker that is not taken in consents for nobody",
        one_person(),
        rows(f"1;5.11.2026 9.05;{AINO};Vahvistettu;{OLAVI};Kyllä;"),
    ),
    *[
        text(f"event_status_{word.lower()}", f"A4 status {word}", one_person(), status(word))
        for word in (*STATUS["values"], "Siirretty")
    ],
    text("event_status_blank", "A4 a blank status is no registration", one_person(), status("")),
    text(
        "event_without_metadata",
        "A4 the titles are found by # and Sähköposti, not by their row",
        event(),
        TITLES + SECOND + f"1;5.11.2026 9.05;{AINO};Vahvistettu;{OLAVI};;\n",
    ),
    text(
        "event_titles_not_found",
        "A4 without the titles the file is refused",
        event(),
        METADATA + f"1;5.11.2026 9.05;{AINO};Vahvistettu;{OLAVI};;\n",
    ),
    text(
        "event_second_row_joined",
        "A4 a second row of titles, - belonging to the row above",
        {
            **one_person(ignored=["Ruokarajoitteet", "Etunimi", "Sukunimi", "Sähköposti"]),
            "file": {
                "type": "csv",
                "pattern": "*.csv",
                "layout": {"found_by": ["#", "Sähköposti"], "second_row": "joined"},
            },
            "fields": {
                "email": {"column": "Sähköposti:Osallistuja"},
                "given_name": {"column": "Etunimi:Osallistuja"},
                "family_name": {"column": "Sukunimi:Osallistuja"},
            },
        },
        rows(f"1;5.11.2026 9.05;{OLAVI};Vahvistettu;{AINO};;"),
    ),
    text(
        "event_without_second_row",
        "A4 an answer where the second row of titles should be: refused, nobody is lost",
        event(),
        METADATA + TITLES + f"1;5.11.2026 9.05;{AINO};Vahvistettu;{OLAVI};;\n",
    ),
    text(
        "event_missing_block_column",
        "A4 a block's column that is gone is missed by its own title",
        event(),
        rows(f"1;5.11.2026 9.05;{AINO};Vahvistettu;{OLAVI};;").replace("Sähköposti;Uutiskirje", "Sposti;Uutiskirje"),
    ),
    text(
        "event_diet_dropped",
        "A4 diet is health data: dropped by default",
        event(ignored=["Ruokarajoitteet"]),
        rows(f"1;5.11.2026 9.05;;;;Vahvistettu;{OLAVI};;keliakia"),
    ),
    text(
        "responsible_holder_contact",
        "A2 responsible person, holder and contact person in one row: each is a submission, the tick is the contact's",
        feed(
            "webropol",
            "survey",
            OWN,
            submitted_at={"column": "Vastausaika", "formats": ["fi_datetime"]},
            file={"type": "csv", "pattern": "*.csv", "export": "text"},
            consents=[consent("Uutiskirje", "Kyllä", given_by="contact")],
            arrangement={
                "blocks": [
                    {
                        "id": "responsible",
                        "columns": {
                            "Oma sähköposti": "Vastuuhenkilö:Sähköposti",
                            "Oma etunimi": "Vastuuhenkilö:Etunimi",
                            "Oma sukunimi": "Vastuuhenkilö:Sukunimi",
                        },
                    },
                    {"id": "holder", "columns": {"Oma sähköposti": "Haltija:Sähköposti"}},
                    {
                        "id": "contact",
                        "columns": {
                            "Oma sähköposti": "Yhteyshenkilö:Sähköposti",
                            "Oma etunimi": "Yhteyshenkilö:Etunimi",
                        },
                    },
                ]
            },
        ),
        "Vastausaika;Vastuuhenkilö:Etunimi;Vastuuhenkilö:Sukunimi;Vastuuhenkilö:Sähköposti;Haltija:Sähköposti;Yhteyshenkilö:Etunimi;Yhteyshenkilö:Sähköposti;Uutiskirje\n"
        "5.11.2026 9.05;Aino;Virtanen;aino@example.org;haltija@example.org;Eeva;eeva@example.org;Kyllä\n",
    ),
    text(
        "only_one_block_is_the_subject",
        "A2 which block is the data subject is in the mapping: here the contact person alone",
        feed(
            "webropol",
            "survey",
            {"email": "Yhteyshenkilö:Sähköposti", "given_name": "Yhteyshenkilö:Etunimi"},
            submitted_at={"column": "Vastausaika", "formats": ["fi_datetime"]},
            file={"type": "csv", "pattern": "*.csv"},
            ignored=["Vastuuhenkilö:Etunimi", "Vastuuhenkilö:Sähköposti"],
        ),
        "Vastausaika;Vastuuhenkilö:Etunimi;Vastuuhenkilö:Sähköposti;Yhteyshenkilö:Etunimi;Yhteyshenkilö:Sähköposti\n5.11.2026 9.05;Aino;aino@example.org;Eeva;eeva@example.org\n",
    ),
]
