"""F7 and F8 of the fault matrix: encodings of every kind, and the same export again and again in every disguise."""

import random
import unicodedata
from datetime import timedelta

import pytest

from connectors.decoders import decode
from pipelines.transforms.shape import shape_batch
from schemas.errors import BatchRefused
from tests.feeds import RECEIVED, make_mapping, make_policy
from tests.invariants.acts import T0, Act, Who, answer, facts_of
from tests.invariants.feeds import COLUMNS
from tests.invariants.model import expected
from tests.invariants.world import World, assert_holds, csv_bytes
from tests.sizes import sized

POLICY = make_policy()
NAMES = [
    "Äijö",
    unicodedata.normalize("NFD", "Åke Öhman"),
    "محمد",
    "Ελένη",
    "🎉",
    "Aino\u200bMaria",
    "Zoë",
    "Šárka",
    "a" * (1 << 20),
    "Ã¤ijÃ¶",
    "Mä\ufffdki",
]
ENCODINGS = ["utf-8", "utf-8-sig", "utf-16", "utf-16-be", "cp1252", "latin-1", "cp850"]
MAPPING = make_mapping(fields={"email": {"column": "Email"}, "given_name": {"column": "First"}}, consents=None)


def made(name: str, encoding: str, damage: str) -> bytes:
    """A file of one row in an encoding, whole or damaged."""
    table = f"Id;Time;Email;First\n1;2026-11-20 10:00:00;a@example.org;{name}\n"
    payload = table.encode(encoding, errors="replace" if damage == "lossy" else "ignore")
    if damage == "mixed":
        return payload + "2;2026-11-20 10:00:00;b@example.org;Mäki\n".encode("cp1252")
    if damage == "nul":
        return payload.replace(b"First", b"Fi\x00rst")
    return payload.replace(b"10:00", b"\xed\xa0\x8010:00") if damage == "surrogate" else payload


def f7_cases() -> list[tuple[str, str, str]]:
    """Every name in every encoding, some of them damaged, and at night a great many more."""
    chosen = random.Random(11)
    kinds = ["mixed", "nul", "surrogate", "lossy"]
    sound = [(name, encoding, "none") for name in NAMES for encoding in ENCODINGS]
    damaged = [(name, encoding, chosen.choice(kinds)) for name, encoding, _ in chosen.sample(sound, 20)]
    letters = "aäöåÄÖÅ éÉßøŁ中🎉\u0301\u202e"
    more = (("".join(chosen.choices(letters, k=9)), chosen.choice(ENCODINGS)) for _ in range(sized(0, 5000)))
    return [*sound, *damaged, *((name, encoding, chosen.choice(["none", *kinds])) for name, encoding in more)]


def test_f7_no_encoding_crashes_a_reader_and_no_mojibake_is_accepted() -> None:
    cases = f7_cases()
    read = 0
    for name, encoding, damage in cases:
        try:
            raw = decode("text/csv", made(name, encoding, damage), MAPPING)
            shaped = shape_batch(raw, MAPPING, received_at=RECEIVED, policy=POLICY)
        except BatchRefused:
            continue
        given = shaped.submissions["given_name"].iloc[0]
        if given == given and damage == "none" and encoding.startswith("utf"):
            read += 1
            plain = "".join(c for c in unicodedata.normalize("NFC", name) if unicodedata.category(c) != "Cf")
            assert given.casefold() == " ".join(plain.split()).casefold()
        assert not any(mark in str(given) for mark in ("\ufffd", "Ã", "\x00"))
    assert len(cases) >= 60
    assert read >= 20, "what is sound is read"


def disguised(acts: list[Act], chosen: random.Random) -> bytes:
    """Some of the acts again, or all: shuffled, doubled, with columns in another order and spaces in titles."""
    rows = [act.row for act in (acts if chosen.random() < 0.5 else chosen.sample(acts, chosen.randint(1, len(acts))))]
    rows = chosen.sample(rows, len(rows)) + ([chosen.choice(rows)] if chosen.random() < 0.3 else [])
    columns = chosen.sample(list(COLUMNS["answers"]), len(COLUMNS["answers"]))
    payload = csv_bytes(columns, rows)
    if chosen.random() < 0.4:
        title = chosen.choice(columns).encode()
        head, rest = payload.split(b"\r\n", 1)
        cells = [cell + "\u00a0 ".encode() if cell == title else cell for cell in head.split(b";")]
        payload = b";".join(cells) + b"\r\n" + rest
    return payload


@pytest.mark.parametrize("seed", range(sized(1, 40)))
def test_f8_the_same_export_in_every_disguise_ends_in_the_same_state(world: World, seed: int) -> None:
    chosen = random.Random(f"F8 {seed}")
    people = [Who(f"f8-{n}@example.org", name) for n, name in enumerate(["aino", "maija", "kalle", "aino"])]
    words = ["", "Yes", "No", "perhaps"]
    acts = [
        answer(
            n,
            chosen.choice(people),
            T0 + timedelta(hours=n),
            newsletter=chosen.choice(words),
            training=chosen.choice(words),
            stop=chosen.choice(["", "", "Yes"]),
        )
        for n in range(12)
    ]
    wanted = expected(facts_of(acts), now=world.now)
    world.receive_bytes("answers", csv_bytes(COLUMNS["answers"], [act.row for act in acts]))
    for _ in range(sized(2, 5)):
        for _ in range(24):
            world.receive_bytes("answers", disguised(acts, chosen))
        world.receive_bytes("answers", csv_bytes(["Id", "Renamed"], [{"Id": "1", "Renamed": "x"}]))
        world.run()
        assert_holds(world, wanted)
    since = world.emulator.control.last_sequence()
    world.receive_bytes("answers", disguised(acts, chosen))
    world.run()
    assert not world.writes(since)
