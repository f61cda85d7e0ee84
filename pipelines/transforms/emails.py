"""The one canonical form of an e-mail address, for identity, consent, suppression and the CRM alike.

`address` is the form of record, which mail is sent to: the local part keeps its case and dots, for only its own server
may say that they do not matter. `key` is what is compared: letter case and the domain's script slip past nothing.
No DNS, no correction of typing errors, no folding of provider habits such as gmail's dots.
"""

import re
import unicodedata
from dataclasses import dataclass
from functools import cache

import email_validator
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from email_validator.rfc_constants import CASE_INSENSITIVE_MAILBOX_NAMES

from pipelines.transforms.text import damage, is_anonymised, is_blank, tidy
from pipelines.transforms.values import over_distinct, refused, settle

# https://learn.microsoft.com/power-apps/developer/data-platform/reference/entities/contact: emailaddress1 to 3.
MAX_LENGTH = 100

_ROLE_WORDS = (
    # Finnish
    "asiakaspalvelu asiakastuki hakijapalvelut henkilosto ilmoittautumiset johto kirjaamo koulutus kurssit lasku"
    " laskut laskutus markkinointi myynti neuvonta opintotoimisto ostolaskut palaute palkanlaskenta postitus rehtori"
    " rekry rekrytointi taloushallinto talous tapahtumat tiedotus tietosuoja tietosuojavastaava tilaukset toimisto"
    " tuki vaihde viestinta yhteys yllapito"
    # Swedish
    " anmalan bokning dataskydd ekonomi faktura forsaljning kansli kontakt kundservice kundtjanst marknad post"
    " reception redaktionen vaxel"
    # English, with the mailboxes that RFC 2142 reserves
    " accounts admin admissions billing booking bookings careers contact customerservice enquiries events feedback"
    " hello help helpdesk hr invoices jobs mail marketing media newsletter no-reply noreply office orders press"
    " privacy registry sales service services studentservices support team training webinar"
    " info abuse noc security postmaster hostmaster usenet news webmaster www uucp ftp"
)
ROLE_LOCAL_PARTS = frozenset(_ROLE_WORDS.split())

_BRACKETED = re.compile(r"<([^<>]*@[^<>]*)>")
_SEPARATORS = re.compile(r"[;,|\n]+|\s+/\s+|\s+(?:tai|ja|eller|och|or|and)\s+", re.IGNORECASE)
_WRAPPING = " \t.;,<>\"'()"

# Local parts without the rarer symbols, domains without hyphen pairs (Punycode, reserved labels): for these the library
# only lowers the domain.
_PLAIN = (
    r"^(?P<local>[A-Za-z0-9_+\-]+(?:\.[A-Za-z0-9_+\-]+)*)"
    r"@(?P<domain>(?:[A-Za-z0-9]+(?:-[A-Za-z0-9]+)*\.)+[A-Za-z]{2,})$"
)
_LABEL_TOO_LONG = "[A-Za-z0-9-]{64}"


@dataclass(frozen=True, slots=True)
class CanonicalAddress:
    """`address` (form of record, at most 100 characters) and `key` (for comparison), or the `fault`; or none of them.

    `key` is the local part in lower case and NFC, and the domain in lower-case IDNA ASCII.
    """

    address: str | None
    key: str | None
    fault: str | None = None


def canonical_address(text: str) -> CanonicalAddress:
    """The one address in `text`; all fields None when it is blank.

    Taken away first: format characters, white space around, `mailto:`, a display name and angle brackets, full stops
    and separators around. Several different addresses are a fault (`email_several`), the same one twice is not.
    """
    tidied = tidy(text.replace("\n", ";"))
    if is_blank(tidied.strip(";, ")):
        return CanonicalAddress(None, None)
    if is_anonymised(tidied):
        return _refusal("anonymised")
    if code := damage(text):
        return _refusal(code)
    return _the_one(_pieces(tidied))


def normalise_emails(column: pd.Series) -> pd.DataFrame:
    """`canonical_address` over a `str` column: columns `address`, `key`, `fault` (all `str`), indexed as the input."""

    def decide(texts: pa.Array) -> pd.DataFrame:
        return settle(texts, _plain_addresses(texts), rule=_as_row)

    return over_distinct(column, decide)


def is_role_address(key: str) -> bool:
    """Whether the key names a function (info@, toimisto@) and not a person; a sub-address after `+` does not matter."""
    local = key.partition("@")[0].partition("+")[0]
    folded = "".join(c for c in unicodedata.normalize("NFKD", local) if not unicodedata.combining(c))
    return folded in ROLE_LOCAL_PARTS


def _pieces(tidied: str) -> list[str]:
    bracketed = _BRACKETED.findall(tidied) if tidied.rstrip(" ;,.").endswith(">") else []
    pieces = [_unwrapped(piece) for piece in bracketed or _SEPARATORS.split(tidied)]
    return [part for piece in pieces for part in (piece.split() if piece.count("@") > 1 else [piece]) if part]


def _the_one(pieces: list[str]) -> CanonicalAddress:
    found = [_validated(piece) for piece in pieces]
    if len({candidate.key for candidate in found}) == 1:
        return found[0]
    return _refusal("email_several" if sum("@" in piece for piece in pieces) > 1 else "email_invalid")


def _unwrapped(piece: str) -> str:
    bare = piece.strip(_WRAPPING)
    if bare[:7].lower() == "mailto:":
        bare = bare[7:].partition("?")[0].strip(_WRAPPING)
    return bare


def _validated(piece: str) -> CanonicalAddress:
    try:
        # test_environment admits `.test` beside `example.org`: names that can never be anybody's (RFC 6761).
        parts = email_validator.validate_email(piece, check_deliverability=False, test_environment=True)
    except email_validator.EmailNotValidError:
        return _refusal("email_invalid")
    address = unicodedata.normalize("NFC", parts.normalized)
    if len(address) > MAX_LENGTH:
        return _refusal("too_long")
    local = unicodedata.normalize("NFC", parts.local_part.lower())
    return CanonicalAddress(address, f"{local}@{parts.ascii_domain.lower()}")


def _refusal(code: str) -> CanonicalAddress:
    return CanonicalAddress(None, None, refused(code).fault)


def _as_row(text: str) -> tuple[str | None, str | None, str | None]:
    canonical = canonical_address(text)
    return canonical.address, canonical.key, canonical.fault


def _plain_addresses(texts: pa.Array) -> dict[str, pa.Array]:
    trimmed = pc.utf8_trim_whitespace(texts)
    parts = pc.extract_regex(trimmed, pattern=_PLAIN)
    local, domain = pc.struct_field(parts, "local"), pc.ascii_lower(pc.struct_field(parts, "domain"))
    local_key = pc.ascii_lower(local)
    is_plain = _all_of(
        pc.is_valid(parts),
        pc.less_equal(pc.utf8_length(trimmed), MAX_LENGTH),
        pc.invert(pc.match_substring_regex(trimmed, pattern=_LABEL_TOO_LONG)),
        pc.invert(pc.match_substring_regex(domain, pattern=_special_use())),
        # The library lowers the reserved mailboxes of RFC 2142 in the address too.
        pc.or_(pc.equal(local, local_key), pc.invert(pc.is_in(local_key, pa.array(CASE_INSENSITIVE_MAILBOX_NAMES)))),
    )
    nothing = pa.nulls(len(texts), pa.large_string())
    return {
        "address": pc.if_else(is_plain, _joined(local, domain), nothing),
        "key": pc.if_else(is_plain, _joined(local_key, domain), nothing),
        "fault": nothing,
    }


def _joined(local: pa.Array, domain: pa.Array) -> pa.Array:
    return pc.binary_join_element_wise(local, domain, pa.scalar("@", pa.large_string()))


def _all_of(first: pa.Array, *others: pa.Array) -> pa.Array:
    for other in others:
        first = pc.and_kleene(first, other)
    return pc.fill_null(first, False)


@cache
def _special_use() -> str:
    names = "|".join(re.escape(name) for name in email_validator.SPECIAL_USE_DOMAIN_NAMES)
    return rf"(?:^|\.)(?:{names})$"
