"""Where the time of an intake or of a load goes, by step: from the stacks that py-spy sampled of it.

`py-spy record --idle --function --format raw --output STACKS -- python -m benchmarks.own_intake DIRECTORY REGISTER DATABASE`,
then `python -m benchmarks.where_time_goes STACKS` prints a table: of each step its share of the wall clock, and how much of
that was waiting for the database; and a second table of the thread that merges beside it. Threads that decode ahead are
not counted.

Of `benchmarks.own_delivery`, whose threads mostly wait for the CRM, `--gil` instead of `--idle` samples who has the
interpreter: the shares are of its processor's time, in all threads.
"""

import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

# Step by the function that does it; the innermost of a stack counts.
STEPS = {
    "land_feed": "read, encrypt and land",
    "iter_decoded": "decode",
    "_taken": "decode (waiting for it)",
    "shape_batch": "normalise and shape",
    "gate_batch": "gate",
    "_find_and_load": "import libraries",
    "stage_frames": "stage by COPY",
    "_merge_people": "merge: addresses, people, ledger",
    "refold": "merge: fold, purposes, versions",
    "_record_outcomes": "merge: outcomes, counts",
    "merge_batch": "merge: classify, statistics",
    "merge": "wait for the merge beside",
    "_merging_beside": "wait for the merge beside",
    "load_addresses": "plan: read",
    "_marked": "plan: views",
    "plan_address": "plan: desired rows and their difference",
    "copy_intents": "plan: outbox by COPY",
    "_number": "plan: its name",
    "write_plan": "plan: the rest",
}
LOAD_STEPS = {
    "_find_and_load": "import libraries",
    "plan_now": "plan into the outbox",
    "Dispatch._claim_some": "claim from the outbox",
    "Dispatch._still_stand": "ask whether what was claimed still stands",
    "Dispatch._settle": "settle answers in the outbox",
    "Fence.require": "ask whether the writer's lock is held",
    "send_chunk": "send: the rest",
    "DataverseClient.fetch_rows": "send: read rows before writing them conditionally",
    "RowBatch._write": "send: put a $batch together",
    "RowBatch._settle": "send: read the answers of a $batch",
    "parse_batch": "send: read the answers of a $batch",
    "BulkLanding.land": "send: put a bulk call together",
    "Wire.exchange": "send: HTTP and TLS",
}
_LOAD = "own_delivery.py"
_MERGER = "merge_staged ("
_WAITING = ("wait (psycopg/", "fetchall (psycopg/", "adbc_ingest (adbc", "execute (adbc", "connect (adbc")


def by_step(stacks: Iterable[str], *, of_merger: bool = False) -> tuple[Counter[str], Counter[str]]:
    """Samples by step, and those of them that waited for the database; a line is `outermost;...;innermost COUNT`.

    `of_merger`: of an intake's thread that merges, instead of its main thread.
    """
    sampled = [line.rstrip().rpartition(" ") for line in stacks]
    is_load = any(_LOAD in stack for stack, _, _ in sampled)
    steps = LOAD_STEPS if is_load else STEPS
    all_of, waiting = Counter[str](), Counter[str]()
    for stack, _, count in sampled:
        frames = stack.split(";")
        is_beside = "_bootstrap (" in frames[0]
        if not is_load and (is_beside != of_merger or (of_merger and _MERGER not in stack)):
            continue
        step = next((steps[name] for frame in reversed(frames) if (name := _name_of(frame)) in steps), "the rest")
        all_of[step] += int(count)
        # Whoever has the interpreter does not wait.
        if not is_load and any(mark in stack for mark in _WAITING):
            waiting[step] += int(count)
    return all_of, waiting


def _name_of(frame: str) -> str:
    """A function within another goes by its own name."""
    return frame.partition(" (")[0].rpartition("<locals>.")[2]


def table(stacks: Iterable[str], *, of_merger: bool = False) -> list[str]:
    """The lines of the table, the largest step first."""
    all_of, waiting = by_step(stacks, of_merger=of_merger)
    total = all_of.total()
    return [
        "| step | share of the time | of it waiting for the database |",
        "| --- | --- | --- |",
        *(f"| {step} | {n / total:.1%} | {waiting[step] / n:.0%} |" for step, n in all_of.most_common()),
    ]


if __name__ == "__main__":
    lines = Path(sys.argv[1]).read_text().splitlines()
    sys.stdout.write("\n".join(table(lines)) + "\n")
    if any(_MERGER in line for line in lines):
        sys.stdout.write("\n".join(["", *table(lines, of_merger=True)]) + "\n")
