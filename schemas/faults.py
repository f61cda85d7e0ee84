"""What can be wrong with one value: the codes that a quarantined row carries, in words for whoever mends it.

A fault is data about a value, never the value itself: neither sentence may hold what a person wrote.
A whole batch that cannot be understood is no fault but `schemas.errors.BatchRefused`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True, slots=True)
class Fault:
    """`code` is stable and stored; `what` and `remedy` are whole sentences, shown in the quarantine."""

    code: str
    what: str
    remedy: str


_ALL = (
    Fault(
        "email_invalid",
        "The text is not an e-mail address.",
        "Correct the address in the source, or ask the person for it.",
    ),
    Fault(
        "email_several",
        "The cell holds more than one e-mail address.",
        "Keep the one address that the person uses, and put the others into records of their own.",
    ),
    Fault(
        "phone_float",
        "The phone number was turned into a decimal number by a spreadsheet, so its digits cannot be trusted.",
        "Format the column as text in the spreadsheet, type the number again and export the file anew.",
    ),
    Fault(
        "phone_invalid",
        "The text is not a phone number of any numbering plan.",
        "Correct the number in the source; a number outside Finland begins with + and the country code.",
    ),
    Fault(
        "phone_premium",
        "The number is a premium-rate service and no person's.",
        "Ask the person for a number of their own, or leave the cell blank.",
    ),
    Fault(
        "phone_service_number",
        "The number belongs to a switchboard, a freephone or another service and not to a person.",
        "Ask the person for a direct number, or leave the cell blank.",
    ),
    Fault(
        "phone_several",
        "The cell holds more than one phone number.",
        "Keep the number by which the person wishes to be reached.",
    ),
    Fault(
        "date_ambiguous",
        "The order of day, month and year cannot be known from the text.",
        "Export the column with four-digit years in a format that the mapping declares.",
    ),
    Fault(
        "date_impossible",
        "The text has the shape of a date, but the calendar has no such day or it lies outside 1900 to 2200.",
        "Correct the date in the source, or check that the mapping declares the format in which it was exported.",
    ),
    Fault(
        "date_unreadable",
        "The text has none of the date formats that the mapping declares.",
        "Declare the format in the mapping, or correct the date in the source.",
    ),
    Fault(
        "time_impossible",
        "The date is readable, but no clock shows its time of day.",
        "Correct the time in the source, or check that the mapping declares the format in which it was exported.",
    ),
    Fault(
        "time_skipped",
        "The local clocks were moved forward over this time of day, so that it never was.",
        "Check the time zone that the mapping declares for this source.",
    ),
    Fault(
        "mojibake",
        "The text was damaged by a wrong character encoding.",
        "Export the file again as UTF-8.",
    ),
    Fault(
        "control_characters",
        "The text holds control characters, which no keyboard types.",
        "Remove them in the source, or export the file again.",
    ),
    Fault(
        "too_long",
        "The text is longer than the CRM's column takes.",
        "Shorten the value in the source.",
    ),
    Fault(
        "holds_code",
        "The text holds a personal identity code, a bank account or the number of a payment card.",
        "Take it out in the source; such numbers go into no field of this kind.",
    ),
    Fault(
        "anonymised",
        "The source has wiped this value and left a marker in its place.",
        "Nothing is to be mended: the row tells of an erasure and is handled as one.",
    ),
    Fault(
        "unknown_answer",
        "The answer is none of those that the mapping lists as yes or no.",
        "List the answer in the mapping if its meaning is certain; otherwise ask the person.",
    ),
    Fault(
        "name_unreadable",
        "The text is not a person's name: it has no letters, or it holds digits or symbols that names do not have.",
        "Correct the name in the source, or check which column the mapping takes it from.",
    ),
    Fault(
        "country_unknown",
        "The text is not a country's name or code.",
        "Use the country's name in Finnish, Swedish or English, or its two-letter ISO 3166 code.",
    ),
    Fault(
        "postal_code_invalid",
        "The text is not a postal code of its country.",
        "Correct it in the source; a Finnish postal code has five digits.",
    ),
    Fault(
        "business_id_invalid",
        "The text is not a Finnish business id, or its check digit is wrong.",
        "Correct it in the source; it is seven digits, a hyphen and a check digit.",
    ),
    Fault(
        "vat_id_invalid",
        "The text is not a VAT number of a country in the European Union, or its check digits are wrong.",
        "Correct it in the source; it begins with the two letters of its country.",
    ),
    Fault(
        "iban_invalid",
        "The text is not an IBAN: its check digits or its length are wrong.",
        "Ask who is to be paid for the account number, and correct it.",
    ),
    Fault(
        "einvoice_address_invalid",
        "The text is neither an OVT code (0037, the business id, up to five characters) nor an IBAN.",
        "Look the address up in the directory of e-invoice addresses, and correct it.",
    ),
    Fault(
        "einvoice_operator_invalid",
        "The text is not an id of an e-invoice operator: a BIC, or 0037 and a business id.",
        "Look the operator up in the directory of e-invoice addresses, and correct it.",
    ),
    Fault(
        "amount_invalid",
        "The text is not an amount of money with at most two decimals, or it can be read in two ways (1.200).",
        "Write the amount in digits, with a comma or a point before the cents.",
    ),
    Fault(
        "entry_kind_unknown",
        "The word for the kind of the entry is not one that the mapping lists.",
        "Correct the word, or list it under finance.kinds in the mapping.",
    ),
    Fault(
        "email_missing",
        "The row has no e-mail address, and this form is about a person.",
        "Ask the person for the address, or set needs_person to false in the mapping.",
    ),
    Fault(
        "not_the_subject",
        "The consent was ticked by whoever booked, and nobody can consent for somebody else.",
        "Nothing is to be mended here: ask the attendee, whose own answer counts.",
    ),
    Fault(
        "child",
        "The person was too young to be marketed to, or may be and the form is for children.",
        "Nothing is to be mended here: marketing begins with the person's own consent once they are old enough.",
    ),
    Fault(
        "awaiting_confirmation",
        "The person has signed up and has not yet followed the link in the mailbox; staff cannot do that for them.",
        "Nothing is to be mended here: the person confirms, or signs up again.",
    ),
    Fault(
        "label_changed",
        "The question is not known to have been shown with the label that it had when it was mapped.",
        "Look at the form: if it still asks the same, put the new label's hash and wording into the mapping.",
    ),
    Fault(
        "other_form",
        "The row is of another form than the mapping describes, or does not tell its form.",
        "Send each form to a feed of its own, or add the form's name under form.values if it asks the very same.",
    ),
    Fault(
        "grant_without_time",
        "A consent was given, but no time that can be read tells when.",
        "Include the response time in the export, and declare its format in the mapping.",
    ),
    Fault(
        "unknown_option",
        "The list of ticked options holds one that the mapping does not know.",
        "List the option under arrangement.options if its meaning is certain; those that are known were read.",
    ),
    Fault(
        "unknown_status",
        "The state of the registration is none of those that the mapping lists.",
        "List the word in the mapping if its meaning is certain; otherwise correct it in the source.",
    ),
    Fault(
        "occasion_missing",
        "The registration does not tell its course or event.",
        "Correct the row in the source, or check which column the mapping takes the id from.",
    ),
    Fault(
        "occasion_endless",
        "The row tells neither the end nor the start of its course or event: unless another does, nobody knows when its data has"
        " to go.",
        "Enter the dates in the source, or give them in the mapping.",
    ),
    Fault(
        "unknown_purpose",
        "The purpose or topic is none of the policy's.",
        "Use the names in intake.yaml, under purposes and their topics.",
    ),
    Fault(
        "spoken_incomplete",
        "A consent taken down by staff lacks a part of its evidence: who, how, when, the words, or the decision.",
        "Fill in the part that the field names, if it is known; otherwise ask the person again.",
    ),
    Fault(
        "names_no_purpose",
        "The entry names neither a purpose nor a course or event, so there is no reason to keep it.",
        "Say what the entry is for, or delete it.",
    ),
    Fault(
        "refusal_without_purpose",
        "The entry refuses something and names no purpose, so it counts for marketing as a whole.",
        "If something else was refused, write it in an entry of its own with its purpose; a cancelled place in the event's feed.",
    ),
)

FAULTS: Mapping[str, Fault] = MappingProxyType({fault.code: fault for fault in _ALL})
