"""Purposes, topics, compliance profiles and mails: D3, D11, D12, D13, D14, and that the policy's purposes are there."""

import json
from collections.abc import Iterable, Iterator, Sequence
from urllib.parse import urlsplit

from pipelines.transforms.diagnosis.facts import (
    COMMERCIAL,
    CONTACTS,
    DEFAULT_COMMERCIAL,
    EXTERNAL_LINK,
    LIVE_MAIL,
    RESTRICTIVE,
    TRACKING,
    TRANSACTIONAL,
    Setup,
)
from pipelines.transforms.diagnosis.findings import (
    Finding,
    Gap,
    Row,
    endangers,
    fails,
    listed,
    of_rows,
    ok,
    unknown,
    warning,
)
from pipelines.transforms.diagnosis.flow_rules import objects
from schemas.policy import Policy

KINDS = {"commercial": COMMERCIAL, "transactional": TRANSACTIONAL, "tracking": TRACKING}


def purposes_of_the_policy(setup: Setup, policy: Policy) -> list[Finding]:
    """Each purpose that the policy names is in the CRM, with the type that its consent rows mean."""

    def rule(rows: Sequence[Row]) -> Iterator[Finding]:
        found = {str(row["msdynmkt_purposeid"]): row.get("msdynmkt_type") for row in rows}
        for name, target in policy.crm.purposes.items():
            if str(target.purpose_id) not in found:
                yield endangers(f"The CRM has no purpose {target.purpose_id} ({name}).")
            elif found[str(target.purpose_id)] != KINDS[target.kind]:
                yield endangers(f"Purpose {name} is of another type than {target.kind}.")

    return of_rows(setup.of("purposes"), rule) or ok(f"{len(policy.crm.purposes)} purposes of the policy are there.")


def default_purpose(setup: Setup, _policy: Policy) -> list[Finding]:
    """D3: people of whom the CRM has no consent row get no mail under its default commercial purpose."""

    def rule(rows: Sequence[Row]) -> Iterator[Finding]:
        defaults = [row for row in rows if str(row["msdynmkt_purposeid"]) == str(DEFAULT_COMMERCIAL)]
        yield from _not_restrictive(defaults)
        if not defaults:
            yield from ok("There is no default commercial purpose.")

    return of_rows(setup.of("purposes"), rule) or ok("The default commercial purpose is Restrictive.")


def tracking(setup: Setup, policy: Policy) -> list[Finding]:
    """D11: tracking has one switch, a purpose by profile; without an Opted In row nobody is tracked."""

    def of_purposes(rows: Sequence[Row]) -> Iterator[Finding]:
        yield from _not_restrictive(row for row in rows if row.get("msdynmkt_type") == TRACKING)
        yield from _untyped(rows)

    def of_profiles(rows: Sequence[Row]) -> Iterator[Finding]:
        named = [(row, row.get("_msdynmkt_trackingconsentpurpose_value")) for row in rows]
        strange = [row for row, purpose in named if purpose and str(purpose) not in ours]
        if strange:
            names = listed(row.get("msdynmkt_name") for row in strange)
            yield endangers(f"Profiles that track under a purpose which the policy does not name: {names}.")

    ours = {str(target.purpose_id) for target in policy.crm.purposes.values() if target.kind == "tracking"}
    found = of_rows(setup.of("purposes"), of_purposes) + of_rows(setup.of("profiles"), of_profiles)
    return found or ok("Every tracking purpose is Restrictive.")


def consent_provider(setup: Setup, policy: Policy) -> list[Finding]:
    """D12: an external consent provider may decide instead of the consent rows; none does that we do not know of."""

    def rule(rows: Sequence[Row]) -> Iterator[Finding]:
        known = {None, str(policy.crm.consent_provider_id)}
        strange = [row for row in rows if row.get("_msdynmkt_consentproviderid_value") not in known]
        if strange:
            names = listed(row.get("msdynmkt_name") for row in strange)
            yield endangers(f"Profiles whose consent another provider decides, not the consent rows: {names}.")

    providers = setup.of("providers")
    if isinstance(providers, Gap):
        hook = [unknown(f"Whether the provider hook is there: {providers.reason}")]
    else:
        hook = ok(f"The provider hook is available; {len(providers)} are registered.")
    return of_rows(setup.of("profiles"), rule) + hook


def consent_link(setup: Setup, policy: Policy) -> list[Finding]:
    """D13: every compliance profile sends people to our preference page, deactivated ones too: they stay in force."""
    page = policy.crm.preference_page

    def rule(rows: Sequence[Row]) -> Iterator[Finding]:
        if not rows:
            yield unknown("There is no compliance profile yet.")
        yield from _not_external(rows, policy)
        if page is not None:
            yield from _elsewhere(rows, page)
        elif rows:
            yield unknown(f"The policy names no preference page for its {len(rows)} profiles to lead to.")

    return of_rows(setup.of("profiles"), rule) or ok("Every compliance profile leads to our preference page.")


def _not_external(rows: Sequence[Row], policy: Policy) -> Iterator[Finding]:
    """A centre of the CRM's own; one whose wording is registered is read back, but its links expire."""
    own = [row for row in rows if row.get("msdynmkt_consentlinktype") not in (EXTERNAL_LINK, None)]
    if unset := [row.get("msdynmkt_name") for row in rows if row.get("msdynmkt_consentlinktype") is None]:
        yield unknown(f"Profiles without a type of consent link: {listed(unset)}.")
    registered = {str(profile_id) for profile_id in policy.crm.registered_profiles}
    for is_known, tell in ((False, endangers), (True, warning)):
        some = [row for row in own if (str(row.get("msdynmkt_compliancesettings4id")) in registered) == is_known]
        if some:
            words = "of registered wording" if is_known else "of a wording that nobody registered"
            names = listed(row.get("msdynmkt_name") for row in some)
            yield tell(f"Profiles with a page of the CRM's own, {words}, instead of an external link: {names}.")


def _elsewhere(rows: Sequence[Row], page: str) -> Iterator[Finding]:
    external = [row for row in rows if row.get("msdynmkt_consentlinktype") == EXTERNAL_LINK]
    strays = [row for row in external if not _leads_to(str(row.get("msdynmkt_consentlink") or ""), page)]
    if strays:
        names = listed(row.get("msdynmkt_name") for row in strays)
        yield endangers(f"Profiles whose external link does not lead to our preference page: {names}.")


def _leads_to(link: str, page: str) -> bool:
    """Whether a link is to a page, or to what is below it, on the very same host."""
    there, ours = urlsplit(link), urlsplit(page)
    path = ours.path.rstrip("/")
    same_host = (there.scheme, there.netloc.lower()) == (ours.scheme, ours.netloc.lower())
    is_below = there.path.startswith(f"{path}/") and ".." not in there.path.split("/")
    return same_host and (there.path.rstrip("/") == path or is_below)


def topics_and_models(setup: Setup, policy: Policy) -> list[Finding]:
    """D14: commercial purposes are Restrictive and transactional ones not; no topic is missing, of purpose, mail or
    journey."""

    def of_purposes(rows: Sequence[Row]) -> Iterator[Finding]:
        others = [row for row in rows if str(row["msdynmkt_purposeid"]) != str(DEFAULT_COMMERCIAL)]
        yield from _not_restrictive(row for row in others if row.get("msdynmkt_type") == COMMERCIAL)
        notices = [row for row in others if row.get("msdynmkt_type") == TRANSACTIONAL]
        stopped = [row for row in notices if row.get("msdynmkt_enforcementmodel") == RESTRICTIVE]
        if stopped:
            names = listed(row.get("msdynmkt_name") for row in stopped)
            yield fails(f"Transactional purposes that are Restrictive, so that notices do not go out: {names}.")
        yield from _untyped(others)

    found = of_rows(setup.of("purposes"), of_purposes)
    found += of_rows(setup.of("topics"), lambda rows: _missing_topics(rows, policy))
    mails = setup.of("mails")
    found += of_rows(mails, lambda rows: _mails_without_topic(rows, policy))
    bare = set() if isinstance(mails, Gap) else {mail for one in _bare(mails, policy).values() for mail in one}
    found += of_rows(setup.of("journeys"), lambda rows: _journeys_without_topic(rows, bare))
    return found or ok("Every purpose has the model and the topics it needs, and every live mail its topic.")


def marketing_lists(setup: Setup, policy: Policy) -> list[Finding]:
    """Each list that the policy names is there, is static, and is one of contacts."""

    def rule(rows: Sequence[Row]) -> Iterator[Finding]:
        there = {str(row["listid"]): row for row in rows}
        for list_id, (name, topic) in wanted.items():
            row = there.get(str(list_id))
            if row is None:
                yield fails(f"The CRM has no list {list_id} ({topic} of {name}).")
            elif row.get("type") or row.get("createdfromcode") != CONTACTS:
                yield fails(f"List {list_id} ({topic} of {name}) is not a static list of contacts.")

    wanted = policy.lists()
    if not wanted:
        return ok("The policy names no list.")
    return of_rows(setup.of("lists"), rule) or ok(f"{len(wanted)} lists of the policy are there.")


def _missing_topics(rows: Sequence[Row], policy: Policy) -> Iterator[Finding]:
    there = {(str(row["msdynmkt_topicid"]), str(row.get("_msdynmkt_purposeid_value"))) for row in rows}
    for name, target in policy.crm.purposes.items():
        missing = [topic for topic, i in target.topics.items() if (str(i), str(target.purpose_id)) not in there]
        if missing:
            yield endangers(f"Topics that purpose {name} has not in the CRM: {listed(missing)}.")


def _mails_without_topic(rows: Sequence[Row], policy: Policy) -> Iterator[Finding]:
    """A mail under a purpose alone goes to everybody of the purpose, whichever topics they chose."""
    for name, bare in _bare(rows, policy).items():
        yield endangers(f"Live mails of purpose {name} without a topic, {len(bare)} of them: {listed(bare)}.")
    if aimless := [row["msdynmkt_emailid"] for row in rows if _is_live(row) and not row.get("_msdynmkt_purpose_value")]:
        yield unknown(f"Live mails without a purpose, {len(aimless)} of them: {listed(aimless)}.")


def _bare(rows: Sequence[Row], policy: Policy) -> dict[str, list[str]]:
    """Live mails without a topic, by their purpose, which has topics."""
    topical = {str(target.purpose_id): name for name, target in policy.crm.purposes.items() if target.topics}
    found: dict[str, list[str]] = {}
    for row in rows:
        name = topical.get(str(row.get("_msdynmkt_purpose_value")))
        if name is not None and _is_live(row) and not row.get("_msdynmkt_topic_value"):
            found.setdefault(name, []).append(str(row["msdynmkt_emailid"]).lower())
    return found


def _is_live(row: Row) -> bool:
    return row.get("statuscode") in LIVE_MAIL


def _journeys_without_topic(rows: Sequence[Row], bare: set[str]) -> Iterator[Finding]:
    """Live journeys that send a mail without its topic; one whose definition cannot be read is a gap."""
    sent = {str(row["msdynmkt_journeyid"]): mails_of(row.get("msdynmkt_journeyjson")) for row in rows}
    sending = [journey_id for journey_id, mails in sent.items() if mails and mails & bare]
    closed = [journey_id for journey_id, mails in sent.items() if mails is None]
    if sending:
        yield endangers(f"Live journeys that send mails without a topic: {listed(sending)}.")
    if closed:
        yield unknown(f"Journeys whose definition cannot be read: {listed(closed)}.")


def mails_of(definition: object) -> set[str] | None:
    """The ids of the mails that a journey sends, wherever in it; None where it, or which mail it sends, cannot be read."""
    try:
        content = json.loads(str(definition))
    except json.JSONDecodeError:
        return None
    sends = (one.get("parameters") for one in objects(content) if str(one.get("type", "")).lower() == "email")
    named = [sent.get("contentId") if isinstance(sent, dict) else None for sent in sends]
    return {str(mail).lower() for mail in named} if isinstance(content, dict) and all(named) else None


def _untyped(rows: Iterable[Row]) -> Iterator[Finding]:
    """Purposes of which nobody can say whether they track, advertise or notify."""
    if untyped := [row.get("msdynmkt_name") for row in rows if row.get("msdynmkt_type") not in KINDS.values()]:
        yield unknown(f"Purposes of no known type: {listed(untyped)}.")


def _not_restrictive(rows: Iterable[Row]) -> Iterator[Finding]:
    open_, unset = [], []
    for row in rows:
        model = row.get("msdynmkt_enforcementmodel")
        if model is None:
            unset.append(row.get("msdynmkt_name"))
        elif model != RESTRICTIVE:
            open_.append(row.get("msdynmkt_name"))
    if open_:
        yield endangers(f"Not Restrictive, so that it takes in people without a consent row: {listed(open_)}.")
    if unset:
        yield unknown(f"Purposes without an enforcement model: {listed(unset)}.")
