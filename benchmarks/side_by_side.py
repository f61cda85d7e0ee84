"""Side by side against the emulator in trouble: rows wanted, landed, doubled and lost, ours and the peers', in one run.

3 % of the answers to writes are lost after the rows were kept, one request in ten is answered 429 with Retry-After 1,
1 % of the rows are poison. Every contestant is started once and nobody helps it: what a person would have to do
afterwards is in the figures (rows that the tool gave up and told of, rows that it lost without a word).
"""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.consenting import Person, make_people
from benchmarks.deliveries import Deliveries, Terms, open_deliveries
from benchmarks.machine import require_peers
from benchmarks.measuring import Run
from benchmarks.report import Report, Summary
from benchmarks.troubled_crm import Tally, access_of, tally, troubled_emulator

OURS = "crm-intake"
POISON_SHARE = 0.01
PEERS = {
    "SDK, records.create": ("sdk_load.py", "create", "100", "1"),
    "SDK, records.upsert": ("sdk_load.py", "upsert", "100", "1"),
    "dlt custom destination": ("dlt_load.py", "10", "1", "WORK"),
    "Singer batch sink": ("singer_load.py", "100", "WORK"),
}
_HEADINGS = ["", "wanted", "landed", "doubled", "half done", "lost", "given up, and told", "requests", "seconds"]


@dataclass(frozen=True, slots=True)
class Ended:
    """What one contestant left behind. `told` are keys of rows that it gave up and said so."""

    tally: Tally
    run: Run
    told: int
    statuses: dict[str, int]


def run_side_by_side(directory: Path, terms: Terms) -> Report:
    """Each contestant once, against an emulator of its own with the same faults drawn by the same seed."""
    if terms.peers:
        require_peers()
    made = make_people(terms.people, seed=terms.seed, poison_share=POISON_SHARE)
    ended: dict[str, Ended] = {}
    with open_deliveries(directory, writers=terms.writers) as deliveries:
        deliveries.seed("people", made)
        for number, name in enumerate((OURS, *(PEERS if terms.peers else ()))):
            ended[name] = _run(deliveries, directory / f"crm_{number}", name, made, terms.seed)
            terms.tell(f"{name}: {ended[name].tally}")
    return _report(ended, people=terms.people)


def _run(deliveries: Deliveries, directory: Path, name: str, people: list[Person], seed: int) -> Ended:
    directory.mkdir()
    with troubled_emulator(directory, people, purpose_id=deliveries.purpose_id, seed=seed) as emulator:
        access = access_of(emulator)
        run = (
            deliveries.run_ours("people", access)
            if name == OURS
            else deliveries.run_peer("people", access, PEERS[name])
        )
        told = run.told.get("outcomes", {}).get("refused", 0) if name == OURS else len(run.told["dead_letters"])
        return Ended(tally(emulator, people), run, told, _statuses(emulator.control.requests()))


def _statuses(requests: list[dict[str, Any]]) -> dict[str, int]:
    """How the requests ended: by status, with those whose answer was lost apart."""
    counted: dict[str, int] = {}
    for request in requests:
        name = "lost" if request.get("fault") == "cut" else str(request["status"])
        counted[name] = counted.get(name, 0) + 1
    return dict(sorted(counted.items()))


def _report(ended: dict[str, Ended], *, people: int) -> Report:
    return Report(
        name="side_by_side",
        title=f"Side by side in trouble: {people} people, once each",
        goal="ours: every good row once, and no human step",
        headings=_HEADINGS,
        cells=[_cells(name, one) for name, one in ended.items()],
        facts=[
            "3 % of the answers to writes lost after the commit, one 429 in ten with Retry-After 1, 1 % poison rows.",
            "Half done: the row is there, and not as it should be in the end (a contact that is still shut).",
            "Given up and told: rows that the tool's own output names; ours are the rows that the CRM refused.",
            *(f"{name}, requests by end: {one.statuses}." for name, one in ended.items()),
        ],
        data={"people": people, "contestants": {name: _described(one) for name, one in ended.items()}},
        summary=Summary(
            _counted(ended[OURS]),
            "; ".join(f"{name}: {_counted(one)}" for name, one in ended.items() if name != OURS) or "-",
            "every good row once",
            f"{ended[OURS].tally.landed / ended[OURS].tally.wanted:.1%}",
            (ended[OURS].tally.wanted, 0) == (ended[OURS].tally.landed, ended[OURS].tally.doubled),
        ),
    )


def _counted(one: Ended) -> str:
    return f"{one.tally.landed:,} of {one.tally.wanted:,} landed, {one.tally.doubled} doubled"


def _described(one: Ended) -> dict[str, Any]:
    told = {name: value for name, value in one.run.told.items() if name != "dead_letters"}
    counted = {**asdict(one.tally), "lost": one.tally.lost, "given_up_and_told": one.told}
    return {**counted, "requests": one.statuses, "told": told}


def _cells(name: str, one: Ended) -> list[str]:
    counted = (one.tally.wanted, one.tally.landed, one.tally.doubled, one.tally.unfinished, one.tally.lost, one.told)
    seconds = f"{one.run.told['seconds']:.1f}"
    return [name, *map(str, counted), str(sum(one.statuses.values())), seconds]
