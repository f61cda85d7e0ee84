"""Tokens: nobody can make or bend one, each is good for one thing, and letter case or rotation loses nobody their link."""

import base64
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pipelines.transforms.preference_links import (
    NOBODY,
    Expiry,
    LinkKey,
    Scope,
    keys_by_mark,
    list_unsubscribe_headers,
    read_token,
    sign_token,
    withdraws_for,
)
from tests.sizes import sized

NOW = datetime(2026, 11, 21, 6, tzinfo=UTC)
OLD, NEW = LinkKey("link-0001-0a0b0c0d", b"1" * 32), LinkKey("link-0002-01020304", b"2" * 32)
KEYS = keys_by_mark([OLD, NEW])
AINO = UUID("5b6f1f0e-8a0a-4a57-9d2e-3f6f5a6f1001")
TOKEN = sign_token(Scope.WITHDRAW, AINO, NEW)
SOON = Expiry(NOW + timedelta(minutes=5), b"n" * 12)


def test_a_withdrawal_token_never_expires_and_survives_rotation() -> None:
    for key in (OLD, NEW):
        claim = read_token(sign_token(Scope.WITHDRAW, AINO, key), Scope.WITHDRAW, KEYS, now=NOW + timedelta(days=36500))
        assert claim.is_good and claim.contact_point_id == AINO


def test_what_raises_or_shows_expires() -> None:
    token = sign_token(Scope.PROVE, AINO, NEW, expiry=SOON)
    assert read_token(token, Scope.PROVE, KEYS, now=NOW).is_good
    assert not read_token(token, Scope.PROVE, KEYS, now=NOW + timedelta(minutes=5)).is_good
    with pytest.raises(ValueError, match="needs"):
        sign_token(Scope.PROVE, AINO, NEW)
    with pytest.raises(ValueError, match="has no"):
        sign_token(Scope.WITHDRAW, AINO, NEW, expiry=SOON)


@pytest.mark.parametrize("made", list(Scope))
@pytest.mark.parametrize("asked", list(Scope))
def test_a_token_is_good_for_its_own_purpose_only(made: Scope, asked: Scope) -> None:
    token = sign_token(made, AINO, NEW, expiry=None if made is Scope.WITHDRAW else SOON)
    assert read_token(token, asked, KEYS, now=NOW).is_good is (made is asked)


def test_a_key_that_is_not_in_the_ring_signs_nothing() -> None:
    stranger = LinkKey(NEW.key_id, b"3" * 32)
    assert not read_token(sign_token(Scope.WITHDRAW, AINO, stranger), Scope.WITHDRAW, KEYS, now=NOW).is_good
    assert withdraws_for(TOKEN, keys_by_mark([OLD])) is None
    assert withdraws_for(TOKEN, KEYS) == AINO


def test_a_token_holds_no_more_than_an_id() -> None:
    raw = base64.urlsafe_b64decode(TOKEN + "==")
    assert raw[5:21] == AINO.bytes and len(raw) == 37
    assert len(TOKEN) == 50


def test_header_values_are_those_of_rfc_8058() -> None:
    assert list_unsubscribe_headers("https://preferences.example.org/", TOKEN) == {
        "List-Unsubscribe": f"<https://preferences.example.org/one-click/{TOKEN}>",
        "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
    }


# Seeds of the fuzz: each was a way to write the same bytes, or nearly a token.
@given(st.one_of(st.text(max_size=200), st.binary(max_size=80).map(lambda raw: base64.urlsafe_b64encode(raw).decode())))
@example("")
@example("=")
@example(TOKEN + "=")
@example(TOKEN[:-1])
@example(TOKEN + "A")
@example(TOKEN.replace("-", "+").replace("_", "/"))
@example(" " + TOKEN)
@example(TOKEN.lower())
@example("\x00" * 50)
@example("ä" * 50)
@example("A" * 10_000)
@settings(max_examples=sized(300, 20_000), deadline=None)
def test_nothing_but_the_token_itself_is_taken(text: str) -> None:
    for scope in Scope:
        claim = read_token(text, scope, KEYS, now=NOW)
        assert claim.is_good is (text == TOKEN and scope is Scope.WITHDRAW)
        assert claim.is_good or claim.contact_point_id == NOBODY


def test_every_bent_bit_and_every_cut_is_refused() -> None:
    raw = base64.urlsafe_b64decode(TOKEN + "==")
    bent = [raw[:i] + bytes([raw[i] ^ (1 << bit)]) + raw[i + 1 :] for i in range(len(raw)) for bit in range(8)]
    texts = [base64.urlsafe_b64encode(one).decode().rstrip("=") for one in bent] + [
        TOKEN[:n] for n in range(len(TOKEN))
    ]
    # The last character has two bits that decode to nothing; only one spelling of it is the token.
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    texts += [TOKEN[:-1] + last for last in alphabet if last != TOKEN[-1]]
    assert not any(read_token(text, Scope.WITHDRAW, KEYS, now=NOW).is_good for text in texts)
