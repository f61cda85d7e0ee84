"""Rows of Webropol: two event lists exported as files, a feedback survey and an event form pulled from the API.

Columns are question titles, `Question:Label` where a question has several fields. API rows are given here in the same
flat form; the stand-in nests them as the service does.
"""

from sandbox.organisation import marks
from sandbox.organisation.calendar import local
from sandbox.organisation.pen import Pen, finnish
from sandbox.organisation.rows_of_courses import Row, status_word

NEWS_OF_EVENTS = "Uutiskirje:Haluan sähköpostiini tietoa ammattikorkeakoulun tapahtumista."
_PRIVACY_READ = "Lomakkeen lähetys:Olen tutustunut tietosuojailmoitukseen."

SPRING_COLUMNS = (
    "#",
    "Vastausaika",
    "Yhteystiedot:Etunimi",
    "Yhteystiedot:Sukunimi",
    "Yhteystiedot:Sähköposti",
    "Yhteystiedot:Matkapuhelin",
    "Yhteystiedot:Yrityksen nimi",
    "Yhteystiedot:Postinumero",
    "Yhteystiedot:Postitoimipaikka",
    "Ilmoittautumisen tila",
    "Osallistun:Paikan päällä",
    "Osallistun:Etänä",
    "Ruokarajoitteet",
    "Esteettömyystarpeet",
    "Lisätiedot",
    "Lisätiedot #2",
    NEWS_OF_EVENTS,
    _PRIVACY_READ,
)
SEMINAR_COLUMNS = (
    "Vastausaika",
    "Ilmoittaja:Etunimi",
    "Ilmoittaja:Sukunimi",
    "Ilmoittaja:Sähköposti",
    "Osallistuja:Etunimi",
    "Osallistuja:Sukunimi",
    "Osallistuja:Sähköposti",
    "Osallistuja:Puhelin",
    "Osallistuja:Organisaatio",
    "Osallistuja:Postinumero",
    "Osallistuja:Postitoimipaikka",
    "Henkilötunnus",
    "Maksaja",
    "Laskutusosoite",
    "Tilinumero",
    "Ruokavalio",
    "Saako osallistujalle lähettää tietoa tapahtumista?",
)
RESPONSE_COLUMNS = ("ResponseId", "ResponseDate", "ResponseLanguageId", "RespondentId", "RespondentEmail")
FEEDBACK_COLUMNS = (
    *RESPONSE_COLUMNS,
    "Kuinka todennäköisesti suosittelisit meitä?",
    "Mikä onnistui?",
    "Mitä kehittäisit?",
    "Yhteystiedot:Etunimi",
    "Yhteystiedot:Sukunimi",
    "Yhteystiedot:Sähköposti",
    "Saammeko lähettää tietoa palveluistamme?",
)
EVENT_FORM_COLUMNS = (
    *(column for column in RESPONSE_COLUMNS if column != "ResponseLanguageId"),
    "Tapahtuman tunnus",
    "Tapahtuman nimi",
    "Tapahtuma alkaa",
    "Tapahtuma päättyy",
    "Osallistumismaksu",
    "Sukunimi ja etunimi",
    "Yhteystiedot:Sähköposti",
    "Yhteystiedot:Puhelin",
    "Yhteystiedot:Organisaatio",
    "Maksaja",
    "Laskutus:Verkkolaskuosoite",
    "Laskutus:Tilinumero",
    "Ruokavalio",
    "Saammeko lähettää tietoa koulutuksista?",
)

_PRAISE = ("Hyvät puhujat", "Selkeä aikataulu", "Tunnelma", "", "Kahvi; ja pulla", '"Kaikki" oli hyvin')
_WISHES = ("Lisää aikaa keskustelulle", "", "Parempi ääni,\netenkin etänä", "Enemmän esimerkkejä")


def spring_row(pen: Pen) -> Row:
    """A numbered registration, all text; the ticked box is its own sentence, the unticked one blank."""
    return _spring_person(pen) | _spring_answers(pen)


def _spring_person(pen: Pen) -> Row:
    form = "{d}.{m}.{y}" if pen.submission.date_only else "{d}.{m}.{y} {H:02d}.{M:02d}"
    return {
        "#": pen.submission.key,
        "Vastausaika": pen.time(pen.submission.first_at, form),
        "Yhteystiedot:Etunimi": pen.given_name(),
        "Yhteystiedot:Sukunimi": pen.family_name(),
        "Yhteystiedot:Sähköposti": pen.email(),
        "Yhteystiedot:Matkapuhelin": pen.phone(),
        "Yhteystiedot:Yrityksen nimi": pen.organisation(),
        "Yhteystiedot:Postinumero": pen.person.postal_code,
        "Yhteystiedot:Postitoimipaikka": pen.person.city,
        "Ilmoittautumisen tila": status_word(pen),
    }


def _spring_answers(pen: Pen) -> Row:
    no, is_remote = pen.person.no, pen.sometimes(2)
    return {
        "Osallistun:Paikan päällä": "" if is_remote else "Paikan päällä",
        "Osallistun:Etänä": "Etänä" if is_remote else "",
        "Ruokarajoitteet": pen.mark(marks.diet(no)) if pen.sometimes(3) else "",
        "Esteettömyystarpeet": pen.mark(marks.access_need(no)) if pen.sometimes(7) else "",
        "Lisätiedot": "Saavun vasta\niltapäivällä; terveisin" if pen.sometimes(5) else "",
        "Lisätiedot #2": "",
        NEWS_OF_EVENTS: NEWS_OF_EVENTS.partition(":")[2] if pen.submission.flag == "yes" else "",
        _PRIVACY_READ: _PRIVACY_READ.partition(":")[2],
    }


def seminar_row(pen: Pen) -> Row:
    """A registration in a spreadsheet: a true date, numbers where texts should be, the booker before the attendee."""
    return _seminar_people(pen) | _seminar_payment(pen)


def _seminar_people(pen: Pen) -> Row:
    booker = pen.booker
    return {
        "Vastausaika": local(pen.submission.at),
        "Ilmoittaja:Etunimi": booker.given_name,
        "Ilmoittaja:Sukunimi": booker.family_name,
        "Ilmoittaja:Sähköposti": booker.address,
        "Osallistuja:Etunimi": pen.given_name(),
        "Osallistuja:Sukunimi": pen.family_name(),
        "Osallistuja:Sähköposti": pen.email(),
        "Osallistuja:Puhelin": pen.phone(),
        "Osallistuja:Organisaatio": pen.organisation(),
        "Osallistuja:Postinumero": int(pen.person.postal_code),
        "Osallistuja:Postitoimipaikka": pen.person.city.upper(),
    }


def _seminar_payment(pen: Pen) -> Row:
    person = pen.person
    return {
        "Henkilötunnus": pen.mark(person.identity_code) if pen.sometimes(2) else "",
        **_payment(pen, "Maksaja", "Laskutusosoite", "Tilinumero"),
        "Ruokavalio": pen.mark(marks.diet(person.no)) if pen.sometimes(3) else "",
        "Saako osallistujalle lähettää tietoa tapahtumista?": pen.yes_no(),
    }


def feedback_row(pen: Pen) -> Row:
    """A survey answer of the newer shape, with or without a person."""
    return _response(pen) | {
        "Kuinka todennäköisesti suosittelisit meitä?": str(pen.rng.randrange(11)),
        "Mikä onnistui?": pen.rng.choice(_PRAISE),
        "Mitä kehittäisit?": pen.rng.choice(_WISHES),
        "Yhteystiedot:Etunimi": pen.given_name(),
        "Yhteystiedot:Sukunimi": pen.family_name(),
        "Yhteystiedot:Sähköposti": pen.email(),
        "Saammeko lähettää tietoa palveluistamme?": pen.yes_no(),
    }


def event_form_row(pen: Pen) -> Row:
    """A registration of the older shape, which tells no language and says in its own answers which event it is for."""
    head = _response(pen)
    del head["ResponseLanguageId"]
    return head | _event_answers(pen) | _event_person(pen)


def _event_answers(pen: Pen) -> Row:
    event, form = pen.course, "{d}.{m}.{y} {H}:{M:02d}"
    return {
        "Tapahtuman tunnus": event.id,
        "Tapahtuman nimi": event.name,
        "Tapahtuma alkaa": finnish(event.starts_at, form),
        "Tapahtuma päättyy": finnish(event.ends_at, form),
        "Osallistumismaksu": "Maksullinen" if event.price_eur else "Maksuton",
    }


def _event_person(pen: Pen) -> Row:
    return {
        "Sukunimi ja etunimi": pen.full_name(family_first=True),
        "Yhteystiedot:Sähköposti": pen.email(),
        "Yhteystiedot:Puhelin": pen.phone(),
        "Yhteystiedot:Organisaatio": pen.organisation(),
        **_payment(pen, "Maksaja", "Laskutus:Verkkolaskuosoite", "Laskutus:Tilinumero"),
        "Ruokavalio": pen.mark(marks.diet(pen.person.no)) if pen.sometimes(3) else "",
        "Saammeko lähettää tietoa koulutuksista?": pen.yes_no(),
    }


def _payment(pen: Pen, payer: str, invoice: str, account: str) -> Row:
    if pen.submission.is_payer:
        return {payer: "Osallistuja", invoice: "", account: pen.mark(pen.person.account_number)}
    return {payer: "Työnantaja", invoice: pen.mark(marks.invoice_address(pen.person.no)), account: ""}


def _response(pen: Pen) -> Row:
    """The head of a response; its date is local, without a zone, with as many decimals as it needs."""
    return {
        "ResponseId": pen.submission.key,
        "ResponseDate": _shortened(local(pen.submission.at).isoformat(timespec="milliseconds")),
        "ResponseLanguageId": "fi",
        "RespondentId": "",
        "RespondentEmail": "",
    }


def _shortened(text: str) -> str:
    return text.rstrip("0").rstrip(".") if "." in text else text
