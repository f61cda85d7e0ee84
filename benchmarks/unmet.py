"""Why each benchmark may miss its goal, and the next thing to try: told beside the table of whatever run missed it.

What is known of the causes and how it was measured is in docs/benchmarks.md and docs/performance.md.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Unmet:
    """The reason, and what to try next: a sentence each."""

    reason: str
    try_next: str

    def __str__(self) -> str:
        return f"{self.reason} To try next: {self.try_next}"


# By the name of the benchmark's report. Shown where a goal was missed, and only there.
IF_MISSED: dict[str, Unmet] = {
    "b1": Unmet(
        "Two rows are three writes, each claimed and acknowledged with fsync on, on two cores; the tuned peers write a row"
        " once and keep nothing.",
        "look at the parts of a $batch once instead of three times, and write ids out once.",
    ),
    "b2": Unmet(
        "The SDK as shipped takes far more than 50 times as long; tuned by hand it sends everything on 16 threads, so fast that"
        " a third of a second would be left for planning, reading and writing ours.",
        "the longest of the stages that b2.json names: the plan, then the corrections.",
    ),
    "b3": Unmet(
        "Something is read for each known person though nobody is dirty.",
        "count the pages that the plan reads, as tests/connectors/store/test_daily_plans.py does.",
    ),
    "b4": Unmet(
        "Each 429 stops all writers for whole seconds, and what the bucket gains beyond its burst is lost.",
        "hold writers to the rate that was admitted, so that fewer 429s are met.",
    ),
    "b5": Unmet(
        "A refused chunk makes two round trips and its sender waits for both; processor time alone would allow 82 to 87 %.",
        "more calls on the way while refused chunks are sent again.",
    ),
    "b6": Unmet(
        "Shared mailboxes are decided one address at a time in Python.",
        "decide addresses with two plainly different names by columns.",
    ),
    "b7": Unmet(
        "Each person has three clocks and two topics here: events are grouped by them, and then folded in three ways by a sort,"
        " on one core, since no worker of the server's reads another's temporary table. One person is some twenty statements,"
        " each parsed and planned anew.",
        "fold addresses with one clock and no topic by that aggregate alone; of one person, one prepared statement.",
    ),
    "b8": Unmet(
        "A click waits for the round before it, its answers from the CRM included.",
        "serve clicks while a wider round is still under way.",
    ),
    "b9": Unmet(
        "pandas' C parser leaves little to gain on a CSV, of which we also prove the encoding and that nothing is cut.",
        "touch less new memory: let Arrow read a mapped file.",
    ),
    "b10": Unmet(
        "What was on its way at the kill has no answer, and some of it is sent again.",
        "read back by key all that was claimed before any of it is sent again.",
    ),
    "b11": Unmet(
        "The peers have no consent, identity, gate, plan or encrypted landing; half of our time is the database's over these.",
        "land beside merging, and stage rows in the widest table once instead of three times.",
    ),
    "b12": Unmet(
        "The environment is made from the lock file before anything runs.",
        "leave what a first report does not need out of the first installation.",
    ),
    "b13": Unmet(
        "What is known of five hundred people lies in some twenty pages each, anywhere: of ten million people they are read from"
        " all over the machine's memory and, where that is less than the store, from the disk, a page at a time.",
        "a machine with more memory than the store; a person's id that begins with its day, as an address's does; telling"
        " a plan beyond its share of our contacts without counting these.",
    ),
    "b14": Unmet(
        "Every step is a task, and on small days its way over the broker costs more than the step.",
        "several days a run (partitions_per_run).",
    ),
    "side_by_side": Unmet(
        "A good row was given up, lost or doubled.",
        "look its key up in the outbox: each write has its state and the answer there.",
    ),
}
