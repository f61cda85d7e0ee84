"""Random histories: what people at some addresses do over some days, as acts. One example holds many addresses.

Times lie on a grid that makes ties and near ties likely: same instant, inside the clock-skew window, outside it.
"""

import os
from collections.abc import Callable
from datetime import datetime, timedelta

from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st

from tests.invariants.acts import T0, Act, Who, answer, ask, prohibit, register, sign_up, speak
from tests.sizes import sized

STEPS = [
    timedelta(),
    timedelta(seconds=30),
    timedelta(minutes=4),
    timedelta(minutes=5),
    timedelta(minutes=6),
    timedelta(hours=3),
]
TIMES = [T0 + timedelta(days=day) + step for day in (0, 1, 5) for step in STEPS]
ANSWERS = ["Yes", "No", ""]
SEED, SHRINK = "INVARIANTS_SEED", "INVARIANTS_SHRINK"


def examples(count: int) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """The settings of a property: as many examples (by night a hundred times that), no deadline.

    Random only from a seed that is set (and printed).
    Nothing is shrunk unless INVARIANTS_SHRINK is set: an example takes seconds, and its blob repeats it.
    """
    given_seed = os.environ.get(SEED)
    phases = [Phase.explicit, Phase.generate] + ([Phase.shrink] if os.environ.get(SHRINK) else [])
    profile = settings(
        max_examples=sized(count, 100 * count),
        deadline=None,
        derandomize=given_seed is None,
        database=None,
        print_blob=True,
        report_multiple_bugs=False,
        phases=phases,
        suppress_health_check=list(HealthCheck),
    )

    def decorate(test: Callable[..., None]) -> Callable[..., None]:
        return profile(test if given_seed is None else seed(int(given_seed))(test))

    return decorate


times = st.sampled_from(TIMES)
answers = st.sampled_from(ANSWERS)
feeds = st.sampled_from(["answers", "survey"])


def address_of(number: int) -> str:
    """The address of the nth household; some people write theirs in other cases."""
    return f"{'Home' if number % 3 == 0 else 'home'}{number}@example.org"


@st.composite
def acts_of(draw: st.DrawFn, who: Who, no: int) -> Act:
    """Something that one person does."""
    at: datetime = draw(times)
    kind = draw(st.sampled_from(["sign_up", "answer", "answer", "answer", "ask", "speak", "register", "prohibit"]))
    if kind == "answer":
        told = {"newsletter": draw(answers), "training": draw(answers), "rdi": draw(answers)}
        stop = draw(st.sampled_from(["", "", "Yes", "No"]))
        return answer(no, who, at, feed=draw(feeds), stop=stop, minute=draw(st.booleans()), **told)
    if kind == "ask":
        return ask(
            no, who, at, newsletter=draw(st.sampled_from(["Yes", ""])), answer_me=draw(st.sampled_from(["Yes", "No"]))
        )
    if kind == "speak":
        topic = draw(st.sampled_from(["", "training"]))
        return speak(
            who,
            at + timedelta(seconds=no),
            decision=draw(st.sampled_from(["yes", "no"])),
            topic=topic,
            has_evidence=draw(st.booleans()),
        )
    if kind == "register":
        return register(
            no, who, at, charge=draw(st.sampled_from(["paid", "free"])), status=draw(st.sampled_from(["in", "queue"]))
        )
    if kind == "prohibit":
        return prohibit(no, who, at, prohibited=draw(answers))
    return sign_up(no, who, at)


@st.composite
def households(draw: st.DrawFn, *, least: int = 6, most: int = 14, acts: int = 5) -> list[list[Act]]:
    """What happens at each of some addresses: one or two names (or none) and a few acts each."""
    found: list[list[Act]] = []
    for number in range(draw(st.integers(least, most))):
        names = draw(st.sampled_from([["aino"], ["aino", ""], ["aino", "maija"], [""], ["aino", "maija", ""]]))
        count = draw(st.integers(1, acts))
        people = [Who(address_of(number), draw(st.sampled_from(names))) for _ in range(count)]
        found.append([draw(acts_of(who, number * 100 + nth)) for nth, who in enumerate(people)])
    return found


def shuffled(draw: st.DrawFn, acts: list[Act]) -> list[Act]:
    """The acts in some order."""
    order: list[Act] = draw(st.permutations(acts))
    return order
