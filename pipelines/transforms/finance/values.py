"""Values that only finance has: account numbers, e-invoice addresses and operators, amounts. By python-stdnum's rules."""

import re
from collections.abc import Callable
from decimal import Decimal
from functools import partial

from stdnum import bic, iban
from stdnum import exceptions as stdnum_errors
from stdnum.fi import ytunnus

from pipelines.transforms.business_ids import normalise_business_id, normalise_vat_id
from pipelines.transforms.places import normalise_country, normalise_postal_code
from pipelines.transforms.text import damage, is_blank, normalise_text, tidy
from pipelines.transforms.values import ABSENT, Value, refused
from schemas.finance import EntryKind

# https://www.finanssiala.fi/en/topics/payment-services/electronic-invoicing/: 0037 is the Finnish tax administration's
# code of ISO 6523; the business id follows without its dash, then up to five characters of the organisation's own.
_OVT = re.compile(r"0037(?P<business_id>[0-9]{8})(?P<unit>[0-9A-Z]{0,5})")
_AMOUNT = re.compile(
    r"(?P<sign>-?)(?P<whole>[0-9]{1,12}|[0-9]{1,3}(?:(?: [0-9]{3}){1,3}|(?:\.[0-9]{3}){1,3}))(?:[.,](?P<cents>[0-9]{1,2})0*)?"
)
# Thousands as people write them, or three decimals as databases do: one is a thousand times the other.
_EITHER = re.compile(r"-?[1-9][0-9]{0,2}[.,][0-9]{3}")
_EURO = re.compile(r"\s*(?:€|eur|euroa)\s*$", re.IGNORECASE)
_MAX_TEXT = 200


def normalise_iban(text: str) -> Value:
    """An account number, compact and in capitals, its check digits and its country's structure verified."""
    return _identifier(text, iban.validate, "iban_invalid")


def normalise_einvoice_address(text: str) -> Value:
    """An OVT code with a valid business id in it, or the IBAN that some receivers use as their address."""
    compact = _compact(text)
    matched = _OVT.fullmatch(compact)
    if matched and ytunnus.is_valid(matched["business_id"]):
        return Value(compact)
    return _identifier(text, iban.validate, "einvoice_address_invalid")


def normalise_einvoice_operator(text: str) -> Value:
    """The id of an e-invoice operator: its OVT code, or a bank's BIC."""
    compact = _compact(text)
    matched = _OVT.fullmatch(compact)
    if matched and ytunnus.is_valid(matched["business_id"]):
        return Value(compact)
    # A BIC is one word; words put together easily look like one.
    return _identifier(text, bic.validate if " " not in tidy(text) else _no_bic, "einvoice_operator_invalid")


def normalise_amount(text: str) -> Value:
    """An amount of euros as `1234.50`, from Finnish or English writing; with at most two decimals, and zeros after them.

    Refused where nobody can tell thousands from decimals (`1.200`); `1 200`, `1.200,00` and `1.2000` are one or the other.
    """
    tidied = _EURO.sub("", tidy(text).replace("−", "-"))
    if is_blank(tidied):
        return ABSENT
    matched = _AMOUNT.fullmatch(tidied)
    if not matched or _EITHER.fullmatch(tidied):
        return refused("amount_invalid")
    whole = re.sub("[ .]", "", matched["whole"])
    return Value(str(Decimal(f"{matched['sign']}{whole}.{matched['cents'] or 0}").quantize(Decimal("0.01"))))


def normalise_kind(text: str, *, kinds: dict[str, EntryKind]) -> Value:
    """The kind of an entry by the words that the mapping lists, whatever their case."""
    tidied = tidy(text)
    if is_blank(tidied):
        return ABSENT
    listed = {tidy(word).casefold(): str(kind) for word, kind in kinds.items()}
    known = listed.get(tidied.casefold())
    return Value(known) if known else refused("entry_kind_unknown")


def party_rule(field: str, *, country: str) -> Callable[[str], Value]:
    """The rule of a party's field (`schemas.finance.PARTY_FIELDS`); `country` is where a postal code is read as from."""
    rules: dict[str, Callable[[str], Value]] = {
        "country": normalise_country,
        "postal_code": partial(normalise_postal_code, country=country),
        "business_id": normalise_business_id,
        "vat_id": normalise_vat_id,
        "iban": normalise_iban,
        "einvoice_address": normalise_einvoice_address,
        "einvoice_operator": normalise_einvoice_operator,
    }
    return rules.get(field, partial(normalise_text, max_length=_MAX_TEXT))


def _identifier(text: str, validate: Callable[[str], str], code: str) -> Value:
    compact = _compact(text)
    if is_blank(compact):
        return ABSENT
    if harm := damage(text):
        return refused(harm)
    try:
        return Value(validate(compact))
    except stdnum_errors.ValidationError:
        return refused(code)


def _no_bic(_text: str) -> str:
    raise stdnum_errors.InvalidFormat()


def _compact(text: str) -> str:
    return re.sub(r"[\s-]", "", tidy(text)).upper()
