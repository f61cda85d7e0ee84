"""The local page as an application: upload a sample, map it, look, save; and the form for manual entries."""

import threading
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from fastapi.staticfiles import StaticFiles
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartParser

from connectors.mappings import mapping_of_text
from pipelines.operations.merging import MERGE_WAIT_S
from pipelines.operations.sessions import Session
from pipelines.operations.suggesting import Wish, preview, read_unknown, save_mapping
from pipelines.operations.workspace import Workspace
from pipelines.transforms.suggesting.proposing import propose
from preferences.headers import SecureHeaders
from preferences.local.entry_form import cells_of, check_entry, manual_mapping, take_entry
from preferences.local.guard import MAX_BODY, Keys, LocalGuard
from preferences.local.mapping_form import ANSWER, document_of, text_of, with_choices
from preferences.local.samples import Samples
from schemas.errors import ConfigurationError, IntakeError
from schemas.mappings import Polarity, Source, SubmissionKind
from schemas.suggestions import TODO, Role

HERE = Path(__file__).parent
LANGUAGES = ("fi", "sv", "en")
_LANGUAGE_COOKIE = "crm_intake_language"
_BY_STAFF = (SubmissionKind.MANUAL_ENTRY, SubmissionKind.FINANCE_ENTRY)


def build_local_app(workspace: Workspace, *, port: int, keys: Keys, wait_s: float = MERGE_WAIT_S) -> FastAPI:
    """The application for one workspace. What is uploaded stays in memory: nothing spills to a temporary file.

    An entry waits at most `wait_s` for another run to have merged.
    """
    MultiPartParser.spool_max_size = MAX_BODY
    page = _Page(workspace, keys, wait_s)
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    app.mount("/static", StaticFiles(directory=HERE / "static"))
    app.add_api_route("/", page.start, methods=["GET"], response_class=HTMLResponse)
    app.add_api_route("/language/{language}", page.choose_language, methods=["GET"])
    for path, handler in (("/map", page.upload), ("/look", page.look), ("/save", page.save)):
        app.add_api_route(path, page.guarded(handler), methods=["POST"], response_class=HTMLResponse)
    app.add_api_route("/entry", page.entry, methods=["GET"], response_class=HTMLResponse)
    app.add_api_route("/entry", page.guarded(page.take), methods=["POST"], response_class=HTMLResponse)
    guard = LocalGuard(app, keys=keys, port=port)
    page.guard = guard
    wrapped = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    wrapped.mount("/", SecureHeaders(guard, is_https=False))
    return wrapped


class _Page:
    guard: LocalGuard

    def __init__(self, workspace: Workspace, keys: Keys, wait_s: float) -> None:
        self._workspace, self._keys, self._wait_s = workspace, keys, wait_s
        self._samples = Samples()
        # One entry at a time: each that waits for a run holds a connection of the few that there are.
        self._entering = threading.Lock()

    def guarded(self, handler: Callable[[Request, dict[str, Any]], Any]) -> Callable[[Request], Any]:
        """A handler of a form: its token is looked at before anything of it is, and errors of ours become words.

        It works in a thread, so that other pages are answered meanwhile.
        """

        async def handle(request: Request) -> Response:
            async with request.form(max_files=1, max_fields=2000) as sent:
                form: dict[str, Any] = {
                    name: await value.read() if isinstance(value, UploadFile) else value for name, value in sent.items()
                }
                names = {name: value.filename for name, value in sent.items() if isinstance(value, UploadFile)}
            if not self.guard.is_ours(form.pop("token", None)):
                return PlainTextResponse("This form was not sent from this page. Open the page again.", 403)
            try:
                given = {**form, "name": names.get("file") or ""}
                answer: Response = await run_in_threadpool(handler, request, given)
                return answer
            except IntakeError as error:
                return self._render(request, "refused.html", status=422, problem=str(error))

        return handle

    async def start(self, request: Request) -> Response:
        feeds = [(m.feed, m.title, m.owner) for m in self._workspace.mappings.values()]
        return self._render(request, "start.html", feeds=feeds)

    async def choose_language(self, language: str) -> Response:
        answer = RedirectResponse("/", 303)
        if language in LANGUAGES:
            answer.set_cookie(_LANGUAGE_COOKIE, language, samesite="strict", httponly=True)
        return answer

    def upload(self, request: Request, form: dict[str, Any]) -> Response:
        """A first look at an uploaded file: everything as suggested."""
        payload = form.get("file")
        if not isinstance(payload, bytes) or not payload:
            raise ConfigurationError(texts(_language(request))["choose_file"])
        return self._mapped(request, self._samples.keep(str(form["name"]) or "sample.csv", payload), form)

    def look(self, request: Request, form: dict[str, Any]) -> Response:
        """The same file as the human has mapped it by now."""
        return self._mapped(request, str(form.get("sample", "")), form)

    def save(self, request: Request, form: dict[str, Any]) -> Response:
        """The mapping into the configuration, if nothing is left to decide."""
        word = str(form.get("sample", ""))
        document = self._document(word, form)
        try:
            path = save_mapping(Session(self._workspace), document["feed"], text_of(document))
        except ConfigurationError as invalid:
            return self._mapped(request, word, form, problem=str(invalid))
        self._samples.forget(word)
        return self._render(request, "saved.html", file=path.name, feed=document["feed"])

    def _document(self, word: str, form: dict[str, Any]) -> dict[str, Any]:
        sample = self._samples.find(word)
        frame, raw, questions = read_unknown(sample.name, sample.payload, _wish(form))
        return document_of(frame, propose(raw, questions), form)

    def _mapped(self, request: Request, word: str, form: dict[str, Any], *, problem: str | None = None) -> Response:
        sample = self._samples.find(word)
        frame, raw, questions = read_unknown(sample.name, sample.payload, _wish(form))
        proposals = propose(raw, questions)
        document = document_of(frame, proposals, form)
        rows = preview(Session(self._workspace), document, raw) if len(raw) else []
        return self._render(
            request,
            "map.html",
            status=200 if problem is None else 422,
            sample=word,
            frame=frame,
            form=form,
            columns=list(zip(proposals, with_choices(proposals, form), strict=True)),
            document=document,
            rows=rows,
            filled=[name for name in (rows[0] if rows else {}) if any(row[name] for row in rows)],
            invalid=problem or _invalid(text_of(document)),
            yaml_text=text_of(document),
            choices=self._choices(),
        )

    def _choices(self) -> dict[str, Any]:
        policy = self._workspace.policy
        return {
            "roles": [str(role) for role in Role],
            "answer": ANSWER,
            "kinds": [str(kind) for kind in SubmissionKind if kind not in _BY_STAFF],
            "sources": [str(s) for s in Source if s not in (Source.DATAVERSE, Source.FINANCE)],
            "purposes": {name: list(purpose.topics) for name, purpose in policy.purposes.items()},
            "polarities": [str(polarity) for polarity in Polarity],
        }

    async def entry(self, request: Request) -> Response:
        """The empty form of a manual entry."""
        try:
            return self._entry(request, {}, wrong=[])
        except ConfigurationError as error:
            return self._render(request, "refused.html", status=422, problem=str(error))

    def take(self, request: Request, form: dict[str, Any]) -> Response:
        """An entry: refused at the door with what is missing, or taken in, with what became of it."""
        session = Session(self._workspace)
        mapping = manual_mapping(session)
        cells = cells_of(mapping, form, now=session.now)
        wrong = check_entry(session, mapping, cells)
        if wrong:
            return self._entry(request, form, wrong=wrong)
        with self._entering:
            outcome = take_entry(session, mapping, cells, wait_s=self._wait_s)
        return self._render(request, "taken.html", outcome=outcome)

    def _entry(self, request: Request, form: dict[str, Any], *, wrong: list[Any]) -> Response:
        mapping = manual_mapping(Session(self._workspace))
        decisions = sorted(mapping.spoken.decisions) if mapping.spoken else []
        return self._render(
            request,
            "entry.html",
            status=422 if wrong else 200,
            form=form,
            wrong=wrong,
            wrong_fields={each.field.removeprefix("spoken.").replace("said_at", "said_on") for each in wrong},
            decisions=decisions,
            has_occasion=mapping.occasion is not None,
            choices=self._choices(),
        )

    def _render(self, request: Request, template: str, *, status: int = 200, **values: Any) -> Response:
        language = _language(request)
        words = texts(language)
        common = {"t": words, "language": language, "languages": LANGUAGES, "token": self._keys.form, "TODO": TODO}
        html = _templates().get_template(template).render(**common, **values)
        return HTMLResponse(html, status)


def _wish(form: dict[str, Any]) -> Wish:
    return Wish(
        source=form.get("source") or None,
        feed=form.get("feed") or None,
        kind=form.get("kind") or None,
        owner=form.get("owner") or None,
    )


def _invalid(text: str) -> str | None:
    try:
        mapping_of_text(text)
    except ConfigurationError as invalid:
        return str(invalid)
    return None


def _language(request: Request) -> str:
    chosen = request.cookies.get(_LANGUAGE_COOKIE)
    if chosen in LANGUAGES:
        return str(chosen)
    wanted = [part.split(";")[0].strip()[:2].lower() for part in request.headers.get("accept-language", "").split(",")]
    return next((language for language in wanted if language in LANGUAGES), "fi")


@cache
def texts(language: str) -> dict[str, Any]:
    """The page's words in a language."""
    words: dict[str, Any] = yaml.safe_load((HERE / "texts" / f"{language}.yaml").read_text("utf-8"))
    return words


@cache
def _templates() -> Environment:
    return Environment(loader=FileSystemLoader(HERE / "templates"), autoescape=True, undefined=StrictUndefined)
