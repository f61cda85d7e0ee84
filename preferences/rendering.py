"""Pages: templates filled with texts of one language. Every value is escaped; no template knows the store."""

from pathlib import Path
from typing import Any

import jinja2
from starlette.requests import Request
from starlette.responses import HTMLResponse

from preferences.door import Door
from preferences.languages import LANGUAGES, chosen_language, texts_of

_HERE = Path(__file__).parent


def environment() -> jinja2.Environment:
    """The templates, where a name that is not there is an error."""
    loader = jinja2.FileSystemLoader(_HERE / "templates")
    return jinja2.Environment(loader=loader, autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)


class Pages:
    """Renders the pages of one door."""

    def __init__(self, door: Door) -> None:
        self._door = door
        self._templates = environment()

    def language(self, request: Request) -> str:
        """The language of an answer: what the link says, else what the browser wants, else the organisation's first."""
        organisation = self._door.workspace.policy.organisation
        asked, accepted = request.query_params.get("lang"), request.headers.get("accept-language")
        return chosen_language(asked, accepted, default=organisation.languages[0])

    @property
    def contact(self) -> str:
        """Whom people may ask."""
        return self._door.workspace.policy.organisation.contact

    def texts(self, request: Request) -> Any:
        """The texts of the answer's language."""
        return texts_of(self.language(request))

    def show(self, request: Request, name: str, *, status: int = 200, **values: Any) -> HTMLResponse:
        """A page; links and forms in it keep the language."""
        language, organisation = self.language(request), self._door.workspace.policy.organisation
        named = {"organisation": organisation.name, "contact": organisation.contact}
        html = self._templates.get_template(f"{name}.html").render(
            t=texts_of(language),
            lang=language,
            languages=_others(language),
            named=named,
            notice_url=self._door.workspace.policy.preference_notice_url,
            path=request.url.path,
            **values,
        )
        return HTMLResponse(html, status_code=status, headers={"Content-Language": language, "Vary": "Accept-Language"})


def _others(language: str) -> list[tuple[str, str]]:
    return [(tag, str(texts_of(tag)["language"])) for tag in LANGUAGES if tag != language]
