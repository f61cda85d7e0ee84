"""What a CRM has before the first run: the purposes and topics of the policy, as an administrator would make them."""

from typing import Any

from schemas.policy import Policy

_TYPES = {"marketing": 534120000, "related_events": 534120000, "tracking": 534120002}
_RESTRICTIVE = 534120000


def purpose_rows(policy: Policy) -> dict[str, list[dict[str, Any]]]:
    """Rows of msdynmkt_purposes and msdynmkt_topics by entity set, with the ids that the policy names."""
    purposes, topics = [], []
    for name, target in policy.crm.purposes.items():
        purposes.append(
            {
                "msdynmkt_purposeid": str(target.purpose_id),
                "msdynmkt_name": name,
                "msdynmkt_type": _TYPES.get(name, _TYPES["marketing"]),
                "msdynmkt_enforcementmodel": _RESTRICTIVE,
            }
        )
        bind = f"/msdynmkt_purposes({target.purpose_id})"
        topics += [
            {"msdynmkt_topicid": str(topic_id), "msdynmkt_name": topic, "msdynmkt_purposeId@odata.bind": bind}
            for topic, topic_id in target.topics.items()
        ]
    return {"msdynmkt_purposes": purposes, "msdynmkt_topics": topics}
