"""The canonical address: what is cleaned away, what is refused, and that whole columns follow the same rule."""

import email_validator
import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pipelines.transforms.emails import CanonicalAddress, canonical_address, is_role_address, normalise_emails
from tests.sizes import sized

EXAMPLES = settings(max_examples=sized(25, 2_000), deadline=None)

LOCAL = st.text("abMX019._+-'ä", min_size=1, max_size=12)
LABEL = st.text("abX01-äß", min_size=1, max_size=6)
DOMAIN = st.builds(".".join, st.lists(LABEL, min_size=1, max_size=3)) | st.sampled_from(
    ["example.org", "EXAMPLE.fi", "sub.test", "a.local", "x.invalid", "localhost", "example.c0m", "a--b.fi", "ab--c.fi"]
)
AROUND = st.sampled_from(["", " ", "\u00a0", "\u200b", "<", ">", ".", ";", "mailto:", "'", "\t", "\n", "\x07"])
ADDRESS = st.builds(
    lambda *parts: "".join(parts), AROUND, LOCAL, st.sampled_from(["@", "@", "@", " @", ""]), DOMAIN, AROUND
)
SYMBOLS = st.text("abA.@+- ;,<>ä\u200b\u00a0\r\n\"'", max_size=12)
RESERVED = st.sampled_from(
    ["Info@example.org", "info@example.org", "WWW@example.org", f"a@{'b' * 64}.example", "-", ""]
)


@EXAMPLES
@example(
    [
        "Info@example.org",
        "a@x.local",
        "a@local",
        f"a@{'b' * 64}.example",
        f"{'a' * 89}@example.org",
        "a@b--c.fi",
        "a@B.FI",
    ]
)
@given(st.lists(ADDRESS | SYMBOLS | RESERVED, max_size=15))
def test_a_column_gives_what_the_rule_gives_for_each_text(texts: list[str]) -> None:
    frame = normalise_emails(pd.Series(texts, dtype="str"))
    rows = [CanonicalAddress(*row) for row in frame.astype(object).where(frame.notna(), None).itertuples(index=False)]
    assert rows == [canonical_address(text) for text in texts]


@EXAMPLES
@given(st.lists(st.builds("{}@{}".format, LOCAL, DOMAIN), max_size=15))
def test_every_accepted_address_is_valid_to_the_library_too(texts: list[str]) -> None:
    for address in normalise_emails(pd.Series(texts, dtype="str"))["address"].dropna():
        parts = email_validator.validate_email(address, check_deliverability=False, test_environment=True)
        assert parts.normalized == address


@EXAMPLES
@given(st.builds("{}@{}".format, st.text("abxyzåäö0.+", min_size=1, max_size=10), st.just("Example.org")))
def test_letter_case_slips_past_nothing(text: str) -> None:
    assert canonical_address(text.upper()).key == canonical_address(text.lower()).key == canonical_address(text).key


@EXAMPLES
@given(ADDRESS)
def test_the_key_and_the_address_have_the_same_key(text: str) -> None:
    found = canonical_address(text)
    if found.address and found.key:
        assert canonical_address(found.address) == found
        assert canonical_address(found.key).key == found.key


def test_the_local_part_keeps_its_case_in_the_address_but_not_in_the_key() -> None:
    assert canonical_address("MATTI@Example.ORG") == CanonicalAddress("MATTI@example.org", "matti@example.org")


def test_an_international_domain_is_compared_in_ascii() -> None:
    found = canonical_address("x@Exämple.fi")
    assert found == CanonicalAddress("x@exämple.fi", "x@xn--exmple-cua.fi")
    assert canonical_address("x@xn--exmple-cua.fi") == found


@pytest.mark.parametrize(
    "text",
    [
        " a@example.org\u00a0",
        "\u200ba@exam\u200dple.org",
        "mailto:a@example.org?subject=Hei",
        "<a@example.org>",
        '"Meikäläinen, Matti" <a@example.org>',
        "a@example.org.",
        "a@example.org;",
        "a@example.org; A@example.org".lower(),
    ],
)
def test_what_surrounds_an_address_is_taken_away(text: str) -> None:
    assert canonical_address(text) == CanonicalAddress("a@example.org", "a@example.org")


@pytest.mark.parametrize(
    "text",
    [
        "a@example.org;c@example.org",
        "a@example.org, c@example.org",
        "a@example.org c@example.org",
        "a@example.org\nb@example.org",
    ],
)
def test_two_addresses_in_one_cell_are_refused(text: str) -> None:
    assert canonical_address(text) == CanonicalAddress(None, None, "email_several")


@pytest.mark.parametrize(
    "text", ["matti @example.org", "matti", "a@b@example.org", "a@localhost", "matti(at)example.org"]
)
def test_what_is_no_address_is_refused_and_not_mended(text: str) -> None:
    assert canonical_address(text).fault in {"email_invalid", "email_several"}


def test_a_typing_error_in_the_domain_is_not_corrected() -> None:
    assert canonical_address("a@gmail.con").address == "a@gmail.con"


def test_dots_and_plus_of_gmail_are_kept_apart() -> None:
    """Of the provider whose dots are folded by others; nobody's, for a user name there has six characters or more."""
    assert canonical_address("a.b+news@gmail.com").key == "a.b+news@gmail.com"


def test_an_address_longer_than_the_crm_column_is_refused() -> None:
    assert canonical_address(f"{'a' * 88}@example.org").address is not None
    assert canonical_address(f"{'a' * 89}@example.org").fault == "too_long"


def test_blank_cells_are_absent() -> None:
    frame = normalise_emails(pd.Series(["", " ", None, "-", "\u200b"], dtype="str", index=list("abcde")))
    assert frame.isna().all(axis=None)
    assert list(frame.index) == list("abcde")


def test_the_marker_of_an_erasing_source_is_not_an_address() -> None:
    assert canonical_address("<DELETED>").fault == "anonymised"


@pytest.mark.parametrize(
    "key", ["info@example.org", "toimisto@example.fi", "viestintä@example.fi", "kansli+a@example.org"]
)
def test_shared_mailboxes_are_known(key: str) -> None:
    assert is_role_address(key)


def test_a_person_is_no_role() -> None:
    assert not is_role_address("infola.matti@example.org")
