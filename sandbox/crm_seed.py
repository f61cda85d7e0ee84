"""What a CRM has before the first run, as an administrator would make it: purposes and topics, and what Journeys needs."""

import json
from typing import Any

from schemas.policy import Policy

Rows = dict[str, list[dict[str, Any]]]

_TYPES = {"commercial": 534120000, "transactional": 534120001, "tracking": 534120002}
_RESTRICTIVE, _NON_RESTRICTIVE = 534120000, 534120001
_EXTERNAL_LINK = 534120002

DEFAULT_PURPOSE = "10000000-0000-0000-0000-000000000003"
NOTICES = "5a4d0000-0000-4000-8000-00000000a001"
PROFILE = "5a4d0000-0000-4000-8000-00000000a002"
SWITCH = "5a4d0000-0000-4000-8000-00000000a003"
MATCHING = "5a4d0000-0000-4000-8000-00000000a004"
MAIL = "5a4d0000-0000-4000-8000-00000000a005"
JOURNEY = "5a4d0000-0000-4000-8000-00000000a006"


def purpose_rows(policy: Policy) -> Rows:
    """Rows of msdynmkt_purposes, msdynmkt_topics and lists by entity set, with the ids that the policy names."""
    purposes, topics, lists = [], [], []
    for name, target in policy.crm.purposes.items():
        purposes.append(_purpose(str(target.purpose_id), name, _TYPES[target.kind], _RESTRICTIVE))
        bind = f"/msdynmkt_purposes({target.purpose_id})"
        topics += [
            {"msdynmkt_topicid": str(topic_id), "msdynmkt_name": topic, "msdynmkt_purposeId@odata.bind": bind}
            for topic, topic_id in target.topics.items()
        ]
        lists += [
            {"listid": str(list_id), "listname": f"{name} {topic}", "createdfromcode": 2, "type": False}
            for topic, list_id in target.lists.items()
        ]
    return {"msdynmkt_purposes": purposes, "msdynmkt_topics": topics, **({"lists": lists} if lists else {})}


def journey_rows(policy: Policy) -> Rows:
    """The rest of a set-up that `crm doctor` has nothing to say against, by entity set; the purposes must be there."""
    return {
        "msdynmkt_purposes": [
            _purpose(DEFAULT_PURPOSE, "Commercial", _TYPES["commercial"], _RESTRICTIVE),
            _purpose(NOTICES, "Notices", _TYPES["transactional"], _NON_RESTRICTIVE),
        ],
        "msdynmkt_compliancesettings4s": [_profile(policy)],
        "msdynmkt_featureconfigurations": [
            {
                "msdynmkt_featureconfigurationid": SWITCH,
                "msdynmkt_name": "Check contact consent for real-time journeys",
                "msdynmkt_featurestate": True,
            }
        ],
        "msdynmkt_matchingstrategies": [
            {"msdynmkt_matchingstrategyid": MATCHING, "msdynmkt_name": "Person", "msdynmkt_targetentity": "contact"}
        ],
        "msdynmkt_matchingstrategyattributes": [
            {
                "msdynmkt_matchingstrategyattributeid": f"{MATCHING[:-1]}{number}",
                "msdynmkt_name": name,
                "msdynmkt_matchingstrategyid@odata.bind": f"/msdynmkt_matchingstrategies({MATCHING})",
            }
            for number, name in enumerate(("emailaddress1", "firstname", "lastname"), start=5)
        ],
        "msdynmkt_emails": _mails(policy),
        "msdynmkt_journeys": [
            {
                "msdynmkt_journeyid": JOURNEY,
                "msdynmkt_name": "Newsletter",
                "statecode": 1,
                "statuscode": 2,
                "msdynmkt_journeyjson": journey_definition(MAIL),
            }
        ],
    }


def journey_definition(*mails: str) -> str:
    """What a journey does, as Journeys keeps it: a branch, in which some mails are sent one after the other."""
    sends = {f"send{n}": {"type": "Email", "parameters": {"contentId": mail}} for n, mail in enumerate(mails)}
    branch = {"type": "ConditionV2", "parameters": {"branches": [{"label": "One", "actions": sends}]}}
    return json.dumps({"trigger": {"type": "OneTime"}, "actions": {"branch": branch}})


def _purpose(purpose_id: str, name: str, kind: int, model: int) -> dict[str, Any]:
    return {
        "msdynmkt_purposeid": purpose_id,
        "msdynmkt_name": name,
        "msdynmkt_type": kind,
        "msdynmkt_enforcementmodel": model,
    }


def _profile(policy: Policy) -> dict[str, Any]:
    tracking = [target.purpose_id for target in policy.crm.purposes.values() if target.kind == "tracking"]
    bind = f"/msdynmkt_purposes({tracking[0]})" if tracking else None
    return {
        "msdynmkt_compliancesettings4id": PROFILE,
        "msdynmkt_name": "Newsletters",
        "msdynmkt_consentlinktype": _EXTERNAL_LINK,
        "msdynmkt_consentlink": policy.crm.preference_page,
        **({"msdynmkt_TrackingConsentPurpose@odata.bind": bind} if bind else {}),
    }


def _mails(policy: Policy) -> list[dict[str, Any]]:
    """One live newsletter, under the first purpose that has topics."""
    topical = [target for target in policy.crm.purposes.values() if target.topics]
    return [
        {
            "msdynmkt_emailid": MAIL,
            "msdynmkt_name": "Newsletter",
            "statuscode": 2,
            "msdynmkt_purpose@odata.bind": f"/msdynmkt_purposes({target.purpose_id})",
            "msdynmkt_topic@odata.bind": f"/msdynmkt_topics({next(iter(target.topics.values()))})",
            "msdynmkt_compliancesettings4@odata.bind": f"/msdynmkt_compliancesettings4s({PROFILE})",
        }
        for target in topical[:1]
    ]
