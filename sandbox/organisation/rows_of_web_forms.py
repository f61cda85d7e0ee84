"""Rows of the website's forms (Drupal Webform) and of the template in which staff write down what people tell them.

API columns are the submission's own fields by name and `data.<element>` for what the form asks; a file of the export
has the element keys alone.
"""

from sandbox.organisation import marks
from sandbox.organisation.pen import Pen, finnish
from sandbox.organisation.rows_of_courses import Row

# https://www.drupal.org/project/webform: WebformSubmission::toArray().
BASE_COLUMNS = (
    "serial",
    "sid",
    "uuid",
    "token",
    "uri",
    "created",
    "completed",
    "changed",
    "in_draft",
    "current_page",
    "remote_addr",
    "uid",
    "langcode",
    "webform_id",
    "entity_type",
    "entity_id",
    "locked",
    "sticky",
    "notes",
)
CONTACT_COLUMNS = (
    *BASE_COLUMNS,
    "data.nimi",
    "data.sahkopostiosoite",
    "data.puhelinnumero",
    "data.organisaatio",
    "data.viesti",
    "data.haluan_yhteydenoton",
    "data.tilaan_uutiskirjeen",
    "data.olen_tutustunut_rekisteriselosteeseen",
)
NEWSLETTER_COLUMNS = (
    *BASE_COLUMNS,
    "data.etunimi",
    "data.sukunimi",
    "data.sahkoposti",
    "data.mista_kuulit_meista",
    "data.olen_tutustunut_rekisteriselosteeseen",
)
TOPIC_COLUMNS = {
    "training": "aiheet__koulutus",
    "rdi": "aiheet__tki",
    "services": "aiheet__palvelut",
    "events": "aiheet__tapahtumat",
}
_NOT_EXPORTED = {"uuid", "token", "webform_id"}
CAMPAIGN_COLUMNS = (
    *(column for column in BASE_COLUMNS if column not in _NOT_EXPORTED),
    "etunimi",
    "sukunimi",
    "sahkoposti",
    *TOPIC_COLUMNS.values(),
    "peruutan_tilauksen",
    "terveiset",
)
MANUAL_COLUMNS = (
    "Kirjattu",
    "Etunimi",
    "Sukunimi",
    "Sähköposti",
    "Puhelin",
    "Organisaatio",
    "Tarkoitus",
    "Aihe",
    "Päätös",
    "Sanottu",
    "Tapa",
    "Sanamuoto",
    "Kirjaaja",
    "Huomautus",
)

_DRUPAL_TIME = "{y:04d}-{m:02d}-{d:02d} {H:02d}:{M:02d}:{S:02d}"
_QUESTIONS = (
    "Milloin seuraava koulutus alkaa?",
    "Hei! Voitteko lähettää tarjouksen?\nTerveisin",
    "Onko täydennyskoulutukseen vielä paikkoja; ja mitä se maksaa?",
    'Kiitos "hyvästä" palvelusta.',
)
_WAYS = ("puhelu", "tapaaminen", "sähköposti")


def contact_row(pen: Pen) -> Row:
    """A contact form with its two boxes; an unticked box of a newsletter comes blank."""
    return _base(pen, "yhteydenotto") | {
        "data.nimi": pen.full_name(),
        "data.sahkopostiosoite": pen.email(),
        "data.puhelinnumero": pen.phone(),
        "data.organisaatio": pen.organisation(),
        "data.viesti": _message(pen),
        "data.haluan_yhteydenoton": "1" if pen.submission.is_enquiry else "0",
        "data.tilaan_uutiskirjeen": "1" if pen.submission.flag == "yes" else "0",
        "data.olen_tutustunut_rekisteriselosteeseen": "1",
    }


def newsletter_row(pen: Pen) -> Row:
    """A sign-up to the mailing list; submitting it is the opt-in. One of its answers is a list."""
    return _base(pen, "uutiskirje") | {
        "data.etunimi": pen.given_name(),
        "data.sukunimi": pen.family_name(),
        "data.sahkoposti": pen.email(),
        "data.mista_kuulit_meista": pen.rng.sample(("verkko", "ystava", "messut"), pen.rng.randrange(3)),
        "data.olen_tutustunut_rekisteriselosteeseen": "1",
    }


def campaign_row(pen: Pen) -> Row:
    """A row of an exported file: keys as titles, `X` for a ticked option, times of the site's own zone."""
    exported = {column: value for column, value in _base(pen, "kampanja").items() if column not in _NOT_EXPORTED}
    pen.marks = [mark for mark in pen.marks if mark in exported.values()]
    created = pen.time(pen.submission.first_at, _DRUPAL_TIME)
    completed = "" if pen.submission.is_draft else created
    times = {"created": created, "completed": completed, "changed": created}
    return exported | times | _campaign_answers(pen)


def _campaign_answers(pen: Pen) -> Row:
    ticked = {column: "X" if topic in pen.submission.topics else "" for topic, column in TOPIC_COLUMNS.items()}
    return {
        "etunimi": pen.given_name(),
        "sukunimi": pen.family_name(),
        "sahkoposti": pen.email(),
        **ticked,
        "peruutan_tilauksen": "1" if pen.submission.flag == "no" else "0",
        "terveiset": _message(pen) if pen.sometimes(4) else "",
    }


def manual_row(pen: Pen) -> Row:
    """An entry by staff; without a wording and a name of who wrote it a yes proves nothing."""
    said = pen.submission.said[0]
    proof = {
        "Sanottu": finnish(said.stated_from, "{d}.{m}.{y}"),
        "Tapa": pen.rng.choice(_WAYS),
        "Sanamuoto": "Saako sinulle lähettää sähköpostitse tietoa toiminnastamme?" if said.has_evidence else "",
        "Kirjaaja": f"kirjaaja{pen.rng.randrange(1, 9)}" if said.has_evidence else "",
    }
    return _told(pen) | proof | {"Huomautus": pen.mark(marks.diet(pen.person.no)) if pen.sometimes(4) else ""}


def _told(pen: Pen) -> Row:
    said = pen.submission.said[0]
    return {
        "Kirjattu": pen.time(pen.submission.at, "{d}.{m}.{y}"),
        "Etunimi": pen.given_name(),
        "Sukunimi": pen.family_name(),
        "Sähköposti": pen.email(),
        "Puhelin": pen.phone(),
        "Organisaatio": pen.organisation(),
        "Tarkoitus": said.purpose,
        "Aihe": said.topic or "",
        "Päätös": "lupa" if said.value == "grant" else pen.rng.choice(("peruu", "kieltää")),
    }


def _base(pen: Pen, webform_id: str) -> Row:
    """A submission's own fields; times are Unix seconds as text, a draft has no `completed`."""
    s, no = pen.submission, pen.person.no
    number = int(s.key)
    return {
        "serial": str(number % 10_000),
        "sid": s.key,
        "uuid": f"00000000-0000-4000-8000-{number:012d}",
        "token": pen.mark(marks.form_token(no, number)),
        "uri": f"/fi/{webform_id}",
        "created": _unix(pen, first=True),
        "completed": "" if s.is_draft else _unix(pen, first=False),
        "changed": _unix(pen, first=False),
        "in_draft": "1" if s.is_draft else "0",
        "current_page": "",
        "remote_addr": pen.mark(marks.network_address(no)),
        "uid": "0",
        "langcode": "fi",
        "webform_id": webform_id,
        "entity_type": "node",
        "entity_id": "17",
        "locked": "0",
        "sticky": "0",
        "notes": "",
    }


def _unix(pen: Pen, *, first: bool) -> str:
    return str(int((pen.submission.first_at if first else pen.submission.at).timestamp()))


def _message(pen: Pen) -> str:
    question = pen.rng.choice(_QUESTIONS)
    return f"{question} Tunnukseni on {pen.mark(pen.person.identity_code)}." if pen.sometimes(20) else question
