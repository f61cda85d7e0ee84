"""Acts on forms that register nobody: surveys, the website's contact and newsletter forms, and what staff write down.

A function makes one thread, as in `registering`.
"""

from dataclasses import replace
from datetime import timedelta

from sandbox.organisation.acting import World, without_contact
from sandbox.organisation.calendar import day_of, exactly
from sandbox.organisation.people import Person
from sandbox.organisation.truth import Said, Submission

FEEDBACK = "webropol_survey_feedback"
CONTACT = "web_forms_contact"
NEWSLETTER = "web_forms_newsletter"
CAMPAIGN = "web_forms_campaign"
MANUAL = "manual_entries"

TOPICS = ("training", "rdi", "services", "events")


def answer_survey(world: World, person: Person) -> list[Submission]:
    """An answer to a feedback survey: half of them anonymous, the others with a question for news of services."""
    first = without_contact(world.begin(FEEDBACK, person, faults=("email", "consent")))
    first.at = first.first_at = first.at.replace(microsecond=world.rng.randrange(100) * 10_000)
    if world.chance(0.5):
        first.person_no = first.address = first.given_name = first.family_name = None
        first.faults = ()
        return [first]
    first.flag = "unreadable" if "consent" in first.faults else world.answer(person)
    if first.flag == "yes":
        first.said = (Said("marketing", "services", "grant", "tick", *exactly(first.at)),)
    elif first.flag == "no":
        first.said = (Said("marketing", "services", "withdraw", "refusal", *exactly(first.at)),)
    return [first]


def send_contact_form(world: World, person: Person) -> list[Submission]:
    """A message with two boxes, 'contact me' and 'newsletter'; some are saved as a draft on an earlier day."""
    first = world.begin(CONTACT, person, faults=("email",))
    first.is_enquiry = world.chance(0.8)
    ticked = world.answer(person) == "yes"
    first.flag = "yes" if ticked else ""
    first.said = (_wide_grant(first, "tick"),) if ticked else ()
    completed_at = world.when(CONTACT, after=first.delivered_on) if world.chance(0.03) else None
    if completed_at is None:
        return [first]
    # A form saved and sent later: `created` stays, and what the draft says was not yet said.
    second = replace(first, at=completed_at[0], delivered_on=completed_at[1], version=2)
    second.said = (_wide_grant(second, "tick"),) if ticked else ()
    first.is_draft, first.said = True, ()
    return [first, second]


def subscribe(world: World, person: Person) -> list[Submission]:
    """A sign-up to the mailing list, where submitting is the opt-in; a third give no name."""
    first = without_contact(world.begin(NEWSLETTER, person, faults=("email",)))
    if world.chance(0.33):
        first.given_name = first.family_name = None
    first.flag = "yes"
    first.said = (_wide_grant(first, "submitting"),)
    return [first]


def answer_campaign(world: World, person: Person) -> list[Submission]:
    """A campaign form with a box for each topic and one to leave the list; some are drafts that nobody ever sent."""
    first = without_contact(world.begin(CAMPAIGN, person, faults=("email", "submitted_at")))
    first.is_draft = world.chance(0.03)
    said: tuple[Said, ...]
    if world.chance(0.10):
        first.flag = "no"
        said = (Said("marketing", None, "withdraw", "prohibition", *exactly(first.at)),)
    else:
        first.topics = tuple(topic for topic in TOPICS if world.answer(person) == "yes")
        said = tuple(Said("marketing", topic, "grant", "tick", *exactly(first.at)) for topic in first.topics)
    first.said = () if first.is_draft else said
    return [first]


def tell_staff(world: World, person: Person) -> list[Submission]:
    """A yes or no said by phone or face to face on a day at most five before it was written down."""
    first = world.begin(MANUAL, person, faults=("email", "submitted_at"))
    says_yes = world.chance(0.5)
    topic = world.rng.choice((None, *TOPICS))
    stated = day_of(first.at - timedelta(days=world.rng.randrange(6)))
    said = Said("marketing", topic, "grant" if says_yes else "withdraw", "spoken", *stated)
    said.has_evidence = not world.chance(0.08)
    first.flag = "yes" if says_yes else "no"
    first.said, first.date_only = (said,), True
    return [first]


def _wide_grant(submission: Submission, way: str) -> Said:
    return Said("marketing", None, "grant", way, *exactly(submission.at))  # type: ignore[arg-type]
