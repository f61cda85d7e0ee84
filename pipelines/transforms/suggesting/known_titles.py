"""Titles that forms give their questions, in Finnish, Swedish and English, and the words of questions that are no data.

Matched folded, as the whole title or as its last part after a colon or dot (`Yhteystiedot:Sähköposti`, `data.email`).
Words of consent, notice and special data are matched anywhere: too much is held back rather than too little.
"""

import re
import unicodedata

from schemas.suggestions import Role

_TITLES: dict[Role, str] = {
    Role.EMAIL: "sähköposti|sähköpostiosoite|email|e-mail|e-mail address|email address|e-post|e-postadress|epost|mail"
    "|sahkoposti|sahkopostiosoite|your email|osallistujan sähköposti|contact email|email_address",
    Role.GIVEN_NAME: "etunimi|etunimet|kutsumanimi|förnamn|first name|firstname|given name|first_name|given_name|forename",
    Role.FAMILY_NAME: "sukunimi|efternamn|last name|lastname|surname|family name|last_name|family_name",
    Role.FULL_NAME: "nimi|namn|name|your name|full name|koko nimi|fullname|full_name|nimesi|osallistujan nimi",
    Role.PHONE: "puhelin|puhelinnumero|matkapuhelin|gsm|puh|telefon|telefonnummer|mobil|mobiltelefon|phone|phone number"
    "|mobile|mobile phone|tel|phone_number|mobile_phone",
    Role.ORGANISATION: "organisaatio|yritys|yrityksen nimi|työnantaja|yhteisö|organisation|organization|företag"
    "|arbetsgivare|company|employer|company name|yhdistyksen/yrityksen nimi|oppilaitos",
    Role.COUNTRY: "maa|land|country|asuinmaa",
    Role.POSTAL_CODE: "postinumero|postnummer|postal code|post code|postcode|zip|zip code|zipcode|postal_code",
    Role.CITY: "postitoimipaikka|kaupunki|kunta|kotikunta|paikkakunta|postort|ort|stad|city|town|municipality",
    Role.BUSINESS_ID: "y-tunnus|ytunnus|fo-nummer|business id|business_id",
    Role.MESSAGE: "viesti|viestisi|kommentti|kommentit|palaute|palautteesi|kysymys|meddelande|kommentar|message|comment"
    "|comments|question|your message|lisätietoja|palautetta ja kysymyksiä|palautetta_ja_kysymyksia",
    Role.SUBMITTED_AT: "vastausaika|svarstid|response time|completed|completion time|submitted|submitted at|aikaleima"
    "|timestamp|created|created_at|lähetetty|ilmoittautumisaika|registered at|date_created|submitted_at|created_time"
    "|completed_at|registered_at|kirjattu",
    Role.CHANGED_AT: "changed|modified|updated|last modified|muokattu|changed_at|updated_at|modified_at|date_updated"
    "|last_modified_time|ändrad",
    Role.KEY: "#|id|uuid|submission uuid|submission id|vastaajan id|responseid|response id|sid|tunniste|submission_id"
    "|response_id|registration_id|signup_id|ilmoittautumisnumero",
    Role.OCCASION_ID: "kurssikoodi|kurssin tunnus|toteutus|course code|course id|event id|course_id|event_id|kurs-id"
    "|course_code|tapahtuman tunnus",
    Role.OCCASION_NAME: "kurssi|kurssin nimi|koulutus|tapahtuma|tapahtuman nimi|course|course name|event|event name"
    "|kursnamn|course_name|event_name",
    Role.STARTS_AT: "alkaa|alkamispäivä|kurssi alkaa|starts|start date|starts_at|start_date|börjar|startdatum",
    Role.ENDS_AT: "päättyy|päättymispäivä|kurssi päättyy|ends|end date|ends_at|end_date|slutar|slutdatum",
    Role.DRAFTS: "in_draft|is draft|luonnos",
    Role.STATUS: "tila|ilmoittautumisen tila|status|registration status|anmälningsstatus|attendee_status",
}
KNOWN_TITLES = {title: role for role, titles in _TITLES.items() for title in titles.split("|")}

# Beginnings of words of every question that may be about a purpose: none of them is ever guessed. `user_consent` is the
# consent to processing of Linked Registrations, and no purpose of ours.
_CONSENT = re.compile(
    "suostu|lupa|luvan|uutiskirje|markkinoi|mainon|tilaa|postituslist|sähköpostilist|haluan|hyväksy|kiell|kielto"
    "|saa lähettä|saa ottaa|samtyck|nyhetsbrev|marknadsför|prenumer|utskick|tillåt|förbjud|godkänn|jag vill"
    "|(?<!user_)consent|newsletter|marketing|subscri|opt.?in|opt.?out|mailing|i want|i agree|i would like|permission|prohibit"
    "|haluan_|markkinointi|news\\b|uutisia",
    re.IGNORECASE,
)
_NOTICE = re.compile(
    "tietosuoja|rekisteriselost|olen lukenut|olen tutustunut|vakuutan|käyttöehd|dataskydd|registerbeskriv|användarvillkor"
    "|privacy|data protection|i have read|terms of|user_consent|terms_of_service",
    re.IGNORECASE,
)
_CONTACT_ME = re.compile("yhteyttä|yhteydenotto|kontakta mig|contacted|contact me|be contacted", re.IGNORECASE)
_SPECIAL = re.compile(
    "ruoka|diet|allerg|erityisruoka|esteettöm|accessib|tillgänglighet|terve|health|hälsa|specialkost|mat\\b"
    "|henkilötunnus|hetu\\b|personbeteckning|personal identity|ssn|syntymä|birth|född|sukupuoli|gender|kön\\b"
    "|tilinumero|iban|bank|kontonummer|pankki|maksu|maksaj|lasku|invoice|payment|payer|paid[ _]by|betal|billing|faktur"
    "|viitenumero|kustannuspaik|cost[ _]?cent|kostnadsst|(?:\\b|_)(?:ovt|bic|swift)(?:\\b|_)"
    "|remote ip|remote_addr|token|user_agent",
    re.IGNORECASE,
)


def known_role(title: str) -> Role | None:
    """The role of a title that forms use for just that; None for any other."""
    folded = _folded(title)
    last = re.split(r"[:.]\s*", folded)[-1]
    return KNOWN_TITLES.get(folded) or KNOWN_TITLES.get(last) or KNOWN_TITLES.get(last.replace("_", " "))


def is_about_consent(text: str) -> bool:
    """Whether a question may be about a purpose."""
    return _CONSENT.search(text) is not None


def is_about_notice(text: str) -> bool:
    """Whether a question is about having read something: never a consent to a purpose."""
    return _NOTICE.search(text) is not None


def is_about_contact(text: str) -> bool:
    """Whether a question asks to be contacted: wanting an answer, never marketing."""
    return _CONTACT_ME.search(text) is not None


def is_special(text: str) -> bool:
    """Whether a question is about health, identity codes, payment or what a site keeps for itself."""
    return _SPECIAL.search(text) is not None


def _folded(title: str) -> str:
    text = unicodedata.normalize("NFC", title).casefold().replace("\xa0", " ")
    return " ".join(text.split()).strip(" :*?.")
