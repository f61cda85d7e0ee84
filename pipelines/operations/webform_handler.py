"""What a Drupal site has to send: a form's remote post handler, made from the feed's mapping.

Its settings are those of Webform's RemotePostWebformHandler (https://www.drupal.org/docs/contributed-modules/webform,
6.2). By default it leaves out the id and the times of a submission and sends everything that people wrote; here it sends
what the mapping reads and nothing else.
"""

from typing import Any

import yaml

from connectors.json_documents import WEBFORM_FIELDS
from schemas.errors import ConfigurationError
from schemas.mappings import Mapping, Source

_STATES = ("completed", "updated", "deleted")
_DATA = "data."
_COMMENT = """\
# The handler that sends submissions of the feed {feed} to this service as they are made. Put it under `handlers:` of
# webform.webform.<id>.yml (Configuration, Synchronize), or type its settings under Settings, Emails / Handlers.
# Replace SECRET by the feed's secret in the file of secrets. {deletions}
"""
_TELLS = "A submission that is deleted on the site is told as such."
_TELLS_NOT = "Deleted submissions are not told: the mapping has no `erased` whose column begins with `data.` (and is `optional`)."


def webform_handler(mapping: Mapping, address: str | None) -> str:
    """The handler as YAML, with comments. `address` is the door's public one.

    ConfigurationError where the feed is no website form, or the door has no address.
    """
    if mapping.source is not Source.WEB_FORMS:
        raise ConfigurationError(f"{mapping.feed!r} is not a form of a website. See `crm-intake sources list`.")
    if not address:
        raise ConfigurationError("The door has no address yet: set INTAKE_PREFERENCES_URL.")
    settings = _settings(mapping, f"{address.rstrip('/')}/hooks/{mapping.feed}")
    handler = {
        "id": "remote_post",
        "handler_id": "crm_intake",
        "label": "crm-intake",
        "notes": "",
        "status": True,
        "conditions": {},
        "weight": 0,
        "settings": settings,
    }
    comment = _COMMENT.format(feed=mapping.feed, deletions=_TELLS if settings["deleted_url"] else _TELLS_NOT)
    return comment + yaml.safe_dump({"crm_intake": handler}, allow_unicode=True, sort_keys=False)


def _settings(mapping: Mapping, url: str) -> dict[str, Any]:
    """Elements and fields that the mapping does not read are left out by name; a state is told where it is read."""
    read = mapping.mapped_columns()
    elements = {name.removeprefix(_DATA) for name in mapping.ignored if name.startswith(_DATA)}
    unread = (WEBFORM_FIELDS - read) | {name for name in elements if "." not in name}
    erased = mapping.erased.column if mapping.erased else ""
    word = mapping.erased.values[0] if mapping.erased and mapping.erased.values else "deleted"
    tells = erased.startswith(_DATA)
    said = yaml.safe_dump({erased.removeprefix(_DATA): word}, allow_unicode=True) if tells else ""
    states: dict[str, str] = {}
    for state in _STATES:
        states[f"{state}_url"] = url if state != "deleted" or tells else ""
        states[f"{state}_custom_data"] = said if state == "deleted" else ""
    return {
        "method": "POST",
        "type": "json",
        "excluded_data": {name: name for name in sorted(unread)},
        "custom_data": "",
        "custom_options": yaml.safe_dump({"headers": {"X-Intake-Key": "SECRET"}}),
        "file_data": False,
        "cast": False,
        "debug": False,
        **states,
    }
