"""Stand-in of the website: submissions of its forms over webform_rest, page by page, behind an `api-key` header.

A submission is what Webform's own `toArray` gives: its fields with times in Unix seconds as text, and `data` by element
(https://www.drupal.org/project/webform). The page counts from 0; one past the last is an empty list.
"""

from datetime import date
from typing import Any

import yaml
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.organisation import Organisation
from sandbox.organisation.feeds import FEEDS
from sandbox.organisation.rows_of_courses import Row

FORM_FEEDS = ("web_forms_contact", "web_forms_newsletter")
DEFAULT_ITEMS = 50
MOST_ITEMS = 1000


class DrupalStandIn:
    """The site as of the end of the day `through`."""

    def __init__(self, organisation: Organisation, *, through: date, api_key: str) -> None:
        self.through = through
        self._organisation = organisation
        self._api_key = api_key

    def app(self) -> Starlette:
        """The ASGI application."""
        return Starlette(
            routes=[
                Route("/webform_rest/{form}/submissions", self.submissions),
                Route("/webform_rest/{form}/elements", self.elements),
            ]
        )

    async def submissions(self, request: Request) -> Response:
        feed = _feed_of(request.path_params["form"])
        if (refusal := self._refusal(request, feed)) is not None or feed is None:
            return refusal or _not_found()
        try:
            page, items = int(request.query_params.get("page", 0)), _items(request)
        except ValueError:
            return JSONResponse({"message": "page and items_per_page are numbers."}, status_code=400)
        rows = self._organisation.as_of(feed, self.through)[page * items : (page + 1) * items]
        return JSONResponse([_nested(self._organisation.row(row)) for row in rows])

    async def elements(self, request: Request) -> Response:
        feed = _feed_of(request.path_params["form"])
        if (refusal := self._refusal(request, feed)) is not None or feed is None:
            return refusal or _not_found()
        keys = [column.removeprefix("data.") for column in FEEDS[feed].columns if column.startswith("data.")]
        fields = {key: {"#type": "textfield", "#title": key.replace("_", " ").capitalize()} for key in keys}
        return JSONResponse(
            {"yhteystiedot_kontti": {"#type": "container", **fields}, "actions": {"#type": "webform_actions"}}
        )

    def _refusal(self, request: Request, feed: str | None) -> Response | None:
        if request.headers.get("api-key") != self._api_key:
            return JSONResponse(
                {"message": "The used authentication method is not allowed on this route."}, status_code=403
            )
        return None if feed else _not_found()


def remote_post(settings: dict[str, Any], row: Row, state: str) -> tuple[str, dict[str, str], dict[str, Any]]:
    """Address, headers and body of what the remote post handler sends under these settings; no address, nothing is sent.

    The submission's own fields with the elements on top, without those excluded, then the custom data of the handler and
    of the state, then the state's (RemotePostWebformHandler::getRequestData).
    """
    data = {column.removeprefix("data."): value for column, value in row.items()}
    data = {name: value for name, value in data.items() if name not in settings["excluded_data"]}
    for custom in (settings["custom_data"], settings[f"{state}_custom_data"]):
        data |= yaml.safe_load(custom) or {}
    return settings[f"{state}_url"], yaml.safe_load(settings["custom_options"])["headers"], data


def _nested(row: Row) -> dict[str, Any]:
    own = {column: value for column, value in row.items() if not column.startswith("data.")}
    data = {column.removeprefix("data."): value for column, value in row.items() if column.startswith("data.")}
    return {**own, "data": data}


def _items(request: Request) -> int:
    return min(max(int(request.query_params.get("items_per_page", DEFAULT_ITEMS)), 1), MOST_ITEMS)


def _feed_of(form: str) -> str | None:
    return next((feed for feed in FORM_FEEDS if FEEDS[feed].resource == form), None)


def _not_found() -> Response:
    return JSONResponse({"message": "No such webform."}, status_code=404)
