"""A machine of events, imports, merges, erasures and retention runs in any order: the rules above all hold over every request.

Each address has a history of its own, so that one example holds many; what they do is drawn from a seed, for hundreds
of them would not fit into what Hypothesis can draw.
"""

import random
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from pipelines.operations.acts import record_acts
from pipelines.operations.ledger import verify
from pipelines.operations.retention import retain
from pipelines.operations.sessions import Session
from schemas.errors import ActRefused, ConfigurationError
from tests.invariants.acts import NOW, Act, Who, answer, ask, prohibit, register, sign_up, speak
from tests.invariants.crm_hands import merge_contacts, set_crm_clock
from tests.invariants.erasing import erase
from tests.invariants.histories import TIMES, address_of
from tests.invariants.test_acts import make_act
from tests.invariants.wire import check_wire
from tests.invariants.world import World
from tests.sizes import sized

# A run takes nearly as long for a thousand addresses as for sixteen (26 and 15 s an example): twenty examples of five
# thousand make 10^5 histories in a night.
HOUSES, EXAMPLES, STEPS = sized(1000, 5000), sized(2, 20), sized(5, 12)
# Of some addresses in each example somebody is merged or erased.
CHOSEN = 1 + HOUSES // 400
SEEDS = st.integers(0, 2**32 - 1)
TOPICS = ("training", "rdi")
WHO = ("emailaddress1", "lastname", "firstname", "contactid")


def file_act(rng: random.Random, who: Who, no: int) -> Act:
    """Something that somebody does by one of the doors that files come from."""
    at = rng.choice(TIMES)
    told = {name: rng.choice(["Yes", "No", ""]) for name in ("newsletter", "training", "rdi")}
    return rng.choice(
        [
            lambda: sign_up(no, who, at),
            lambda: answer(no, who, at, feed=rng.choice(["answers", "survey"]), stop=rng.choice(["", "Yes"]), **told),
            lambda: ask(no, who, at, newsletter=rng.choice(["Yes", ""])),
            lambda: speak(who, at + timedelta(seconds=no), decision=rng.choice(["yes", "no"])),
            lambda: register(no, who, at, charge=rng.choice(["paid", "free"])),
            lambda: prohibit(no, who, at, prohibited=rng.choice(["Yes", ""])),
        ]
    )()


class Histories(RuleBasedStateMachine):
    """One world. Each run's requests are held against the ledger right after it, so that of somebody who was erased only
    what they did since can justify anything.
    """

    world: World

    @initialize(seed=SEEDS)
    def begin(self, seed: int) -> None:
        self.world.reset()
        self.files: list[list[Act]] = []
        self.days, self.number = 0, 0
        for nth in range(2):
            self.people_fill_in_forms(seed + nth)
        self.a_run_is_made()
        self.everything_happens_once(random.Random(seed))

    def everything_happens_once(self, rng: random.Random) -> None:
        """In some order; what few steps are drawn by day would leave out half of it."""
        kinds = [
            self.people_fill_in_forms, self.people_act_on_the_page, self.an_old_file_comes_again,
            self.staff_merge_two_contacts, self.somebody_is_erased, lambda _: self.a_run_is_made(),
            lambda _: self.time_passes_and_retention_runs(1),
        ]  # fmt: skip
        for kind in rng.sample(kinds, len(kinds)):
            kind(rng.getrandbits(32))

    def who(self, rng: random.Random) -> Who:
        return Who(address_of(rng.randrange(HOUSES)), rng.choice(["aino", "aino", "maija", ""]))

    @rule(seed=SEEDS)
    def people_fill_in_forms(self, seed: int) -> None:
        rng = random.Random(seed)
        acts = []
        for _ in range(HOUSES):
            self.number += 1
            acts.append(file_act(rng, self.who(rng), self.number))
        self.files.append(acts)
        self.world.perform(acts)

    @rule(seed=SEEDS)
    def people_act_on_the_page(self, seed: int) -> None:
        rng = random.Random(seed)
        session = Session(self.world.workspace)
        for number in range(HOUSES // 8):
            at = self.world.now - timedelta(minutes=rng.randrange(600), seconds=number)
            topics = rng.choice([(), TOPICS[:1], TOPICS])
            deed, address = rng.choice(["grant", "withdraw"]), self.who(rng).address
            try:
                record_acts(session, None, [make_act(deed, address=address, topics=topics, occurred_at=at)])
            except ActRefused as refused:
                if refused.code != "erased":
                    raise

    @precondition(lambda self: self.files)
    @rule(seed=SEEDS)
    def an_old_file_comes_again(self, seed: int) -> None:
        rng = random.Random(seed)
        acts = list(rng.choice(self.files))
        rng.shuffle(acts)
        self.world.perform(acts)

    @rule()
    def a_run_is_made(self) -> None:
        since = self.world.run().since
        check_wire(self.world, since=since)

    @precondition(lambda self: self.world.rows("contacts"))
    @rule(seed=SEEDS)
    def staff_merge_two_contacts(self, seed: int) -> None:
        rng = random.Random(seed)
        active = [row for row in self.world.rows("contacts") if row.get("statecode", 0) == 0]
        # By who they are, for ids are of each world's own salt: a history picks the same people each time.
        named = sorted(active, key=lambda row: [str(row.get(name)) for name in WHO])
        chosen = [row["contactid"] for row in rng.sample(named, min(2 * CHOSEN, len(named)))]
        set_crm_clock(self.world, self.world.now)
        for master, loser in zip(chosen[::2], chosen[1::2], strict=False):
            merge_contacts(self.world, master=master, loser=loser)

    @rule(seed=SEEDS)
    def somebody_is_erased(self, seed: int) -> None:
        rng = random.Random(seed)
        for address in {self.who(rng).address: None for _ in range(CHOSEN)}:
            with self.a_part_by_itself(), suppress(ConfigurationError):
                erase(self.world, address)

    @rule(days=st.sampled_from([1, 40, 400]))
    def time_passes_and_retention_runs(self, days: int) -> None:
        self.days += days
        self.world.at(NOW + timedelta(days=self.days))
        with self.a_part_by_itself():
            retain(Session(self.world.workspace), self.world.crm)

    @contextmanager
    def a_part_by_itself(self) -> Iterator[None]:
        """What it sends is held apart from what was sent before and comes after: lowering goes first within each."""
        self.world.syncs.append(self.world.emulator.control.last_sequence())
        yield
        self.world.syncs.append(self.world.emulator.control.last_sequence())

    def teardown(self) -> None:
        self.a_run_is_made()
        assert not verify(Session(self.world.workspace)).broken
        assert not self.world.writes(self.world.run().since), "a second run writes nothing"


def test_the_rules_above_all_hold_over_every_history_of_events_imports_merges_erasures_and_retention(
    one_world: World,
) -> None:
    machine = type("Machine", (Histories,), {"world": one_world})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=STEPS,
            deadline=None,
            derandomize=True,
            database=None,
            print_blob=True,
            phases=[Phase.explicit, Phase.generate],
            suppress_health_check=list(HealthCheck),
        ),
    )
