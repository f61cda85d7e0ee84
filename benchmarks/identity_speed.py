"""B6: who is who among rows of which three in a hundred come from a shared mailbox; and one new row against all of them.

Ours is a rule (one address and compatible names are one person), Splink's a model trained on the same rows. Both are
told apart by the truth: a cluster that holds two people is falsely merged, and a person in two clusters is split.
"""

import random
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from time import perf_counter
from uuid import UUID

import pandas as pd
import pyarrow as pa
import sqlalchemy as sa

from benchmarks.asking import Ask, own_server, p95, spread
from benchmarks.inputs import fresh_database
from benchmarks.known_day import opened
from benchmarks.limits import Limit, scanning
from benchmarks.machine import PEERS, PEERS_PYTHON, require_peers
from benchmarks.measuring import measure
from benchmarks.report import Report, Summary
from benchmarks.seeding import address_of, seed_known
from connectors.store.engine import create_store_engine
from pipelines.transforms.identity import Subject, resolve_address, resolve_subjects

SHARED = 0.03
GOAL_TIMES, GOAL_ONE_MS = 2.0, 5.0
TRIES = 400
_GIVEN = ("aino", "väinö", "helmi", "eino", "lempi", "toivo", "sisko", "urho", "saga", "björn", "kerttu", "onni")
_LOOK_UP = """
select s.subject_id, s.given_key, s.has_ground, s.person_id from intake.contact_point c
join intake.subject s using (contact_point_id) where c.address_key = :address
"""


def make_rows(count: int, *, seed: int) -> pd.DataFrame:
    """Rows (address_key, given_key, truth) of made-up people, each some times, some by an initial; in random order."""
    chance = random.Random(seed)
    rows: list[tuple[str, str, int]] = []
    person = 0
    while len(rows) < count:
        address = address_of(person)
        sharers = chance.randint(2, 3) if chance.random() < SHARED else 1
        for given in chance.sample(_GIVEN, sharers):
            person += 1
            rows += [(address, _written(given, nth, sharers, chance), person) for nth in range(chance.randint(1, 4))]
    chance.shuffle(rows)
    return pd.DataFrame(rows[:count], columns=["address_key", "given_key", "truth"])


def _written(given: str, nth: int, sharers: int, chance: random.Random) -> str:
    """The name as the row has it: now and then an initial, where it can be only one person's."""
    return given[0] if nth and sharers == 1 and chance.random() < 0.2 else given


def cluster(rows: pd.DataFrame) -> pd.Series:
    """Which person each row is, by our rule: addresses with one name at once, the others by `resolve_subjects`."""
    subjects = rows[["address_key", "given_key"]].drop_duplicates(ignore_index=True)
    names = subjects.groupby("address_key", sort=False)["given_key"].transform("size")
    subjects["person"] = subjects.index.astype("int64")
    shared = subjects[names > 1]
    decided = resolve_subjects(
        pd.DataFrame(
            {
                "contact_point_id": shared["address_key"],
                "subject_id": [UUID(int=1 + int(n)) for n in shared.index],
                "given_key": shared["given_key"],
                "has_ground": True,
                "person_id": None,
                "maker_id": [UUID(int=1 + int(n)) for n in shared.index],
            }
        )
    )
    persons = {
        subject.int - 1: person.int for subject, person in zip(decided["subject_id"], decided["person_id"], strict=True)
    }
    subjects["person"] = [persons.get(n, -1 - n) for n in subjects.index]
    return rows.merge(subjects, on=["address_key", "given_key"], how="left")["person"]


def falsely_merged(clusters: pd.Series, truth: pd.Series) -> float:
    """The share of clusters that hold more than one person."""
    people = (
        pd.DataFrame({"cluster": clusters.to_numpy(), "truth": truth.to_numpy()}).groupby("cluster")["truth"].nunique()
    )
    return float((people > 1).mean())


def split(clusters: pd.Series, truth: pd.Series) -> float:
    """The share of people who are in more than one cluster."""
    return falsely_merged(truth, clusters)


@dataclass(frozen=True, slots=True)
class Found:
    """Seconds of each run, the share of clusters falsely merged, and that of people split."""

    seconds: list[float]
    false: float
    split: float


def run_identity_speed(directory: Path, ask: Ask) -> Report:
    """A tenth of `rows` and all of them; then one new row against a store with as many people."""
    if ask.peers:
        require_peers()
    found: dict[tuple[int, str], Found] = {}
    with own_server(directory) as server:
        pid = server.process.pid
        for count in (ask.rows // 10, ask.rows):
            rows = make_rows(count, seed=ask.seed)
            found[count, "crm-intake"] = _ours(rows, ask.repeat)
            if ask.peers:
                found[count, "Splink"] = _splink(rows, directory, pid, ask.repeat)
            ask.tell(
                f"{count:,} rows: "
                + ", ".join(f"{n} {median(v.seconds):.1f} s" for (c, n), v in found.items() if c == count)
            )
        limit = scanning([buffer for column in ("address_key", "given_key") for buffer in _bytes_of(rows[column])])
        store = fresh_database(server.address, "identities")
        seed_known(store, ask.rows)
        with opened(store, directory) as workspace:
            workspace.engine.dispose()
            one = _one_row(create_store_engine(store), ask.rows)
    return _report(found, one, limit, ask.rows)


def _bytes_of(column: pd.Series) -> list[bytes]:
    return [buffer.to_pybytes() for buffer in pa.array(column, pa.string()).buffers() if buffer]


def _ours(rows: pd.DataFrame, repeat: int) -> Found:
    seconds, clusters = [], None
    for _ in range(repeat):
        begun = perf_counter()
        clusters = cluster(rows)
        seconds.append(perf_counter() - begun)
    if clusters is None:
        raise RuntimeError("At least one run is needed.")
    return _found(seconds, clusters, rows)


def _found(seconds: list[float], clusters: pd.Series, rows: pd.DataFrame) -> Found:
    return Found(seconds, falsely_merged(clusters, rows["truth"]), split(clusters, rows["truth"]))


def _splink(rows: pd.DataFrame, directory: Path, postmaster: int, repeat: int) -> Found:
    given, answer = directory / "rows.parquet", directory / "clusters.parquet"
    rows.reset_index(names="row").to_parquet(given)
    command = [str(PEERS_PYTHON), "splink_identity.py", str(given), str(answer)]
    runs = [measure(command, postmaster=postmaster, cwd=PEERS) for _ in range(repeat)]
    clusters = pd.read_parquet(answer).set_index("row")["cluster"].reindex(rows.index)
    return _found([float(run.told["seconds"]) for run in runs], clusters, rows)


def _one_row(engine: sa.Engine, people: int) -> list[float]:
    """Milliseconds to say who a new row is: the subjects of its address looked up, and the rule."""
    spent = []
    with engine.connect() as conn:
        for n in range(TRIES):
            address = address_of(1 + n * max(1, people // TRIES)) if n % 2 else f"nobody.{n}@example.org"
            begun = perf_counter()
            known = conn.execute(sa.text(_LOOK_UP), {"address": address}).all()
            newcomer = Subject(UUID(int=1), "kerttu", True, None, UUID(int=2))
            subjects = [Subject(r.subject_id, r.given_key, r.has_ground, r.person_id, None) for r in known]
            resolve_address([*subjects, newcomer])
            spent.append(1000 * (perf_counter() - begun))
    engine.dispose()
    return spent


def _report(found: dict[tuple[int, str], Found], one: list[float], limit: Limit, rows: int) -> Report:
    ours, peer = found[rows, "crm-intake"], found.get((rows, "Splink"))
    ratio = median(ours.seconds) / median(peer.seconds) if peer else None
    cells = [
        [name, f"{count:,}", spread(one.seconds), f"{one.false:.2%}", f"{one.split:.2%}"]
        for (count, name), one in found.items()
    ]
    cells.append(["one new row", f"{rows:,}", f"{median(one):.2f} ms, p95 {p95(one):.2f} ms", "-", "-"])
    met = ours.false == 0 and p95(one) <= GOAL_ONE_MS and (None if ratio is None else ratio <= GOAL_TIMES)
    return Report(
        name="b6",
        title=f"B6 identity over {rows:,} rows, {SHARED:.0%} of addresses shared",
        goal=f"at most {GOAL_TIMES:g} times Splink's time with nobody falsely merged; one new row in {GOAL_ONE_MS:g} ms (p95)",
        headings=["", "rows", "seconds (min to max)", "clusters falsely merged", "people split"],
        cells=cells,
        facts=[
            "Ours is its one rule; Splink is trained and predicts on address and given name, blocked by address.",
            f"Python {sys.version_info[0]}.{sys.version_info[1]}; one core each but for what Splink's DuckDB takes.",
        ],
        data={
            "found": [
                {"rows": c, "who": n, "seconds": one.seconds, "falsely_merged": one.false, "split": one.split}
                for (c, n), one in found.items()
            ],
            "one_row_ms": one,
            "limit": asdict(limit),
        },
        summary=Summary(
            f"{median(ours.seconds):.1f} s, {ours.false:.2%} false; one row {p95(one):.1f} ms",
            f"Splink {median(peer.seconds):.1f} s, {peer.false:.2%} false" if peer else "-",
            limit.beside(median(ours.seconds)),
            f"{ratio:.2f} of Splink's time" if ratio else "-",
            met,
        ),
    )
