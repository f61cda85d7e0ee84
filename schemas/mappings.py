"""Mappings: how one feed (a form, a survey, a course table) becomes submissions. Data, validated here.

A mapping names every column its feed may bring: those it reads (`fields`, `consents`, `answers`) and those it knows
and drops (`ignored`). A column it does not name stops the batch; so does a mapped column that is missing.
`json_schema()` exports the language for editors.
"""

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from schemas.arrangements import Arrangement, TableLayout
from schemas.finance import FinanceMap
from schemas.rest import RestShape
from schemas.row_rules import ErasedRef, FormRef, SetAside
from schemas.suggestions import todo_paths

# The columns of a raw frame that no source has.
RECEIVED_AT = "__received_at"
"""When each pulled row counts as received, ISO 8601 with its zone."""
BATCH_ID = "__batch_id"
"""In a frame of several batches of one feed: which batch each row came in, as text."""
ROW_NO = "__row_no"
"""In a frame of some rows of a batch: which row each was, from 1, as text."""
SUBMISSION_ID = "__submission_id"
"""In a frame with mended cells: the id of a row without a key, as it was before it was mended."""
ERASED = "__erased"
"""In a redacted batch: has a value in each row that is erased, and of which finance has yet to take what it keeps."""
OWN_COLUMNS = frozenset({RECEIVED_AT, BATCH_ID, ROW_NO, SUBMISSION_ID, ERASED})


class Source(StrEnum):
    """The outside systems, one noun per source in every layer."""

    SHORT_COURSES = "short_courses"
    WEBROPOL = "webropol"
    WEB_FORMS = "web_forms"
    MANUAL = "manual"
    FINANCE = "finance"
    DATAVERSE = "dataverse"


class SubmissionKind(StrEnum):
    """What a person did by submitting; decides which purposes can begin (schemas.purposes)."""

    COURSE_REGISTRATION = "course_registration"
    EVENT_REGISTRATION = "event_registration"
    ENQUIRY = "enquiry"
    MAILING_LIST = "mailing_list"
    SURVEY = "survey"
    MANUAL_ENTRY = "manual_entry"
    FINANCE_ENTRY = "finance_entry"


class TimeFormat(StrEnum):
    """The written forms of a time that a mapping may declare; nothing else is read, nothing is guessed."""

    ISO = "iso"
    FI_DATE = "fi_date"
    FI_DATETIME = "fi_datetime"
    SV_DATETIME = "sv_datetime"
    DRUPAL = "drupal"
    UNIX = "unix"
    UNIX_MS = "unix_ms"
    EXCEL_SERIAL = "excel_serial"


class Polarity(StrEnum):
    """Whether a yes in the column gives permission or forbids."""

    CONSENT = "consent"
    PROHIBITION = "prohibition"


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ColumnRef(_Strict):
    """A value taken from a column, or a constant of the feed."""

    column: str | None = None
    constant: str | None = None

    @model_validator(mode="after")
    def _one_of_the_two(self) -> "ColumnRef":
        if (self.column is None) == (self.constant is None):
            raise ValueError("give either column or constant")
        return self


class TimeRef(ColumnRef):
    """A time: its column, the written forms it may have, and the zone of those that carry none (IANA name)."""

    formats: tuple[TimeFormat, ...] = (TimeFormat.ISO,)
    timezone: str = "Europe/Helsinki"


class FullNameRef(ColumnRef):
    """One cell with the whole name; the order is declared, never inferred."""

    order: Literal["given_family", "family_given"]


class ChoiceRef(ColumnRef):
    """A coded value: `values` maps each written form (case and space folded) to one of ours; others are faults."""

    values: dict[str, str] = Field(default_factory=dict)


class FieldMap(_Strict):
    """What is taken of the person. Every field is optional; what is absent is not collected.

    `message` is free text: kept in the store as an answer, its identity codes cut out. `birth_date` and `age` are read
    only to tell who is too young to be marketed to, and are kept nowhere.
    """

    email: ColumnRef | None = None
    given_name: ColumnRef | None = None
    family_name: ColumnRef | None = None
    full_name: FullNameRef | None = None
    phone: ColumnRef | None = None
    organisation: ColumnRef | None = None
    country: ColumnRef | None = None
    postal_code: ColumnRef | None = None
    city: ColumnRef | None = None
    business_id: ColumnRef | None = None
    message: ColumnRef | None = None
    birth_date: TimeRef | None = None
    age: ColumnRef | None = None


class Wording(_Strict):
    """The very text the person agreed to, its language and version; without it a grant is no grant."""

    text: str = Field(min_length=3)
    language: Literal["fi", "sv", "en"]
    version: str


class ConsentMap(_Strict):
    """One question about a purpose.

    `grants` and `refuses` are the written answers that mean yes and no to the question as worded; `silent` are those
    that say nothing, as blank does (the "0" of an unticked box), unless the submission had said yes before, which they
    take back; anything else is unreadable. With polarity `prohibition` a yes withdraws and a no is not an event.
    `states_current_value` marks a flag that shows a present state and not an act: an event is made only when it differs
    from the last seen. `given_by` is whose tick it is: the subject's, a guardian's for a child (marked as such), a
    booker's that the feed does not take in, or that of a block of the row (`Arrangement.blocks`). One person's tick is not
    another's: of people in a list (`Arrangement.items`) only what stands in the list is theirs. `stated_by` provider marks
    a block of the address by the source itself (a bounce, an opt-out there): it lowers with a reason of its own, and is
    not an act of the person.
    `label_hash` is the hash of the question as it was shown when it was mapped (`schemas.labels.label_hash`): where the
    source now shows another, or tells none, every yes is held back. `label_column` holds the label, or its hash, by row.
    With `double_opt_in` a yes counts once the person follows the link that is mailed to the address.
    """

    purpose: str
    topic: str | None = None
    column: str | None = None
    by_submitting: bool = False
    polarity: Polarity = Polarity.CONSENT
    grants: tuple[str, ...] = ()
    refuses: tuple[str, ...] = ()
    silent: tuple[str, ...] = ()
    states_current_value: bool = False
    changed_at: TimeRef | None = None
    given_by: str = "subject"
    stated_by: Literal["person", "provider"] = "person"
    label_hash: str | None = Field(default=None, pattern=r"^[0-9a-f]{16}$")
    label_column: str | None = None
    wording: Wording | None = None
    notice_version: str | None = None
    double_opt_in: bool = False

    @model_validator(mode="after")
    def _readable(self) -> "ConsentMap":
        if self.by_submitting == (self.column is not None):
            raise ValueError("a consent comes either from a column or by submitting the form")
        if self.column is not None and not self.grants and not self.refuses:
            raise ValueError("list the answers that mean yes (grants) and no (refuses)")
        if self.polarity is Polarity.CONSENT and (self.wording is None or self.notice_version is None):
            raise ValueError("a consent needs its wording and notice_version: a grant without them is no grant")
        if self.polarity is Polarity.PROHIBITION and self.by_submitting:
            raise ValueError("a prohibition needs a column")
        if self.double_opt_in and (self.polarity is Polarity.PROHIBITION or self.states_current_value):
            raise ValueError("double_opt_in is for an answer that gives consent, not for a prohibition or a flag")
        if self.stated_by == "provider" and self.polarity is Polarity.CONSENT:
            raise ValueError("a provider only blocks: give polarity: prohibition")
        return self

    def can_grant(self) -> bool:
        """Whether any answer to it gives consent; a prohibition, and a question whose yes is not listed, only lower."""
        return self.polarity is Polarity.CONSENT and (self.by_submitting or bool(self.grants))


class OccasionMap(_Strict):
    """The course or event that a row registers for: constants for a form of one event, columns for a feed of many.

    `is_sale` tells whether the registration is a purchase. `notice_shown` tells that the form told of similar events
    (the soft opt-in of the Finnish Act 917/2014 section 200(3)). `ends_at` rules when its data goes. `recipients` are those of
    the policy that the form names: to them, and nobody else, its participants may be disclosed. `shares_contacts` tells
    that the form says that the list for networking has contact details too.
    """

    id: ColumnRef
    name: ColumnRef
    starts_at: TimeRef
    ends_at: TimeRef
    field: ColumnRef | None = None
    is_sale: ChoiceRef | None = None
    notice_shown: bool = False
    recipients: tuple[str, ...] = ()
    shares_contacts: bool = False
    organiser_unit: str | None = None
    organiser_contact: str | None = None


class RegistrationMap(_Strict):
    """The state of a registration (active, waitlisted, cancelled, deleted); without a column every row is active."""

    status: ChoiceRef | None = None
    is_payer: ChoiceRef | None = None


class SpokenMap(_Strict):
    """Columns of an entry taken down by staff: who, when, how; the wording is in the row.

    `purpose` and `topic` hold the policy's own names; a row may name an event instead of a purpose.
    """

    collected_by: str
    method: str
    wording: str
    said_at: TimeRef
    purpose: str
    topic: str
    decision: str
    decisions: dict[str, Literal["grant", "withdraw"]]
    notice_version: str | None = None


class FileShape(_Strict):
    """How the feed's files look; `pattern` is a glob in the drop folder.

    `manifest` tells what must lie beside each file `F` before it is taken: its SHA-256 in `F.sha256` (as sha256sum
    writes it) or `F.manifest.json`, or its number of rows in the latter. Without one, a file that was cut exactly
    between two rows cannot be told from a whole one. `header_row` is the row of the titles, from 1. `export` is how the
    answers were exported (Webropol writes a tick as its text or as a number); only `numbers` lets a `1` be an answer.
    """

    type: Literal["csv", "xlsx", "json"]
    pattern: str
    delimiter: Annotated[str, Field(min_length=1, max_length=1)] = ";"
    sheet: str | None = None
    header_row: int = Field(default=1, ge=1, le=50)
    manifest: Literal["none", "sha256", "rows"] = "none"
    layout: TableLayout = TableLayout()
    export: Literal["text", "numbers"] | None = None

    @field_validator("pattern")
    @classmethod
    def _inside_the_drop_folder(cls, pattern: str) -> str:
        if pattern.startswith("/") or ".." in pattern.split("/"):
            raise ValueError("the pattern must stay inside the drop folder: no leading / and no ..")
        return pattern


class ApiShape(_Strict):
    """Where the feed is pulled from: the survey, form or endpoint id in the source's own words.

    `full_sweep_days`: every so many days all that the source has is read again, for one that does not tell when an old
    answer was edited (Webropol).
    """

    resource: str
    page_rows: int = 500
    full_sweep_days: int | None = Field(default=None, ge=1, le=366)


class TableShape(_Strict):
    """A table, view or query of a relational source; `changed_at` is the column that moves with each change."""

    table: str | None = None
    query: str | None = None
    changed_at: str
    key: str

    @model_validator(mode="after")
    def _one_of_the_two(self) -> "TableShape":
        if (self.table is None) == (self.query is None):
            raise ValueError("give either table or query")
        return self


class Mapping(_Strict):
    """One feed. Exactly one of `file`, `api`, `table`, `rest` says how it is delivered: a survey comes one way, never two.

    `key` names the columns that identify a submission for ever; without it the id is a hash of the mapped fields with
    the response time and an occurrence number. `deleted_values` are erasure signals of the source ("<DELETED>").
    `wants_contact` is the question "contact me" (values to 'yes'/'no'); an enquiry form without it is all enquiries.
    `overlap_days` is re-read before the watermark; `needs_person` tells whether a row without an address is a fault.
    `drafts` tells what nobody has submitted yet (values to 'draft'/'final'; a blank is final); `set_aside` what is
    nobody's submission for another reason. `form` keeps rows of other forms out. `erased` is a further erasure signal;
    `erasure_means` whether such a signal lowers what the submission began, or only ends what is kept there (retention).
    `for_children`: whose age is not known may be a child.
    `blanks` are the written forms that stand for an empty cell ("anonymous", "-").
    `finance` names the columns of payment, which go to finance's own schema and to nothing else.
    `optional` names the mapped columns that the source leaves out when no row has a value for them.
    `arrangement` tells how rows are taken apart: cells that list options, rows of several people, lists of people.
    """

    version: Literal[1] = 1
    source: Source
    feed: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_]{1,60}$")]
    title: str
    kind: SubmissionKind
    owner: str
    file: FileShape | None = None
    api: ApiShape | None = None
    table: TableShape | None = None
    rest: RestShape | None = None
    key: tuple[str, ...] = ()
    submitted_at: TimeRef
    changed_at: TimeRef | None = None
    fields: FieldMap
    consents: tuple[ConsentMap, ...] = ()
    arrangement: Arrangement = Arrangement()
    occasion: OccasionMap | None = None
    registration: RegistrationMap | None = None
    spoken: SpokenMap | None = None
    wants_contact: ChoiceRef | None = None
    answers: dict[str, str] = Field(default_factory=dict)
    finance: FinanceMap | None = None
    ignored: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()
    drafts: ChoiceRef | None = None
    set_aside: tuple[SetAside, ...] = ()
    form: FormRef | None = None
    erased: ErasedRef | None = None
    erasure_means: Literal["erasure", "retention"] = "erasure"
    blanks: tuple[str, ...] = ()
    deleted_values: tuple[str, ...] = ("<DELETED>",)
    legal_persons: bool = False
    needs_person: bool = True
    for_children: bool = False
    overlap_days: int = Field(default=2, ge=0, le=60)

    @model_validator(mode="before")
    @classmethod
    def _nothing_is_left_to_decide(cls, given: object) -> object:
        if undecided := list(todo_paths(given)):
            raise ValueError(f"decide what is still TODO: {', '.join(undecided)}")
        return given

    @model_validator(mode="after")
    def _one_delivery(self) -> "Mapping":
        if sum(shape is not None for shape in (self.file, self.api, self.table, self.rest)) != 1:
            raise ValueError("give exactly one of file, api, table, rest")
        registers = self.kind in (SubmissionKind.COURSE_REGISTRATION, SubmissionKind.EVENT_REGISTRATION)
        if registers and self.occasion is None:
            raise ValueError("a registration needs its occasion (the course or event)")
        if (self.source is Source.FINANCE) != (self.kind is SubmissionKind.FINANCE_ENTRY):
            raise ValueError("the source finance, and it alone, has feeds of kind finance_entry")
        if self.source is Source.FINANCE and self.finance is None:
            raise ValueError("a feed of finance's own needs finance: which columns tell of the parties")
        if self.kind is SubmissionKind.MANUAL_ENTRY and self.spoken is None:
            raise ValueError("a manual entry needs spoken: who took it down, when, how and the wording")
        return self

    @model_validator(mode="after")
    def _numbers_are_known_for_answers(self) -> "Mapping":
        """An exported `1` is a tick, an option's number or a point of a scale: only the export option tells."""
        if self.source is not Source.WEBROPOL or self.file is None:
            return self
        answers = [answer for each in self.consents for answer in (*each.grants, *each.refuses)]
        numeric = {answer.strip().lstrip("+-").isdecimal() for answer in answers}
        if True in numeric and self.file.export != "numbers":
            raise ValueError("a number is an answer only where the answers were exported so: give file.export: numbers")
        if False in numeric and self.file.export == "numbers":
            raise ValueError("exported as numbers, answers are numbers: list those under grants and refuses")
        return self

    @model_validator(mode="after")
    def _each_tick_has_its_person(self) -> "Mapping":
        blocks = self.arrangement.blocks
        known = {"subject", "booker", "guardian", *(block.id for block in blocks)}
        own = [set(block.columns) for block in blocks]
        for consent in self.consents:
            if consent.given_by not in known:
                raise ValueError(f"given_by {consent.given_by}: name a block, subject, guardian or booker")
            is_own = all(consent.column in names for names in own)
            if len(blocks) > 1 and consent.given_by == "subject" and not is_own:
                raise ValueError("a row of several people: say by given_by whose block ticked each consent")
        return self

    @model_validator(mode="after")
    def _who_is_listed_ticks_in_the_list(self) -> "Mapping":
        """What is asked once beside a list of people is not asked of them: it may lower all of them, and grants nothing."""
        own, person = self.arrangement.of_items(), self.fields
        names = (person.email, person.given_name, person.family_name, person.full_name)
        if not any(ref and ref.column in own for ref in names):
            return self
        for consent in self.consents:
            if consent.given_by == "subject" and consent.can_grant() and consent.column not in own:
                raise ValueError(
                    f"consents: {consent.column or 'by_submitting'} is not asked of the people that each row lists. Say by"
                    " given_by that a booker or guardian ticked it, or map a column of the list's own"
                )
        return self

    def mapped_columns(self) -> frozenset[str]:
        """Every column the mapping reads, without those it ignores."""
        named = frozenset(_columns_of(self.model_dump(exclude={"arrangement", "rest"}))) | frozenset(self.answers)
        return named | self._named_columns() | self.arrangement.delivered() | self.arrangement.derived()

    def finance_columns(self) -> frozenset[str]:
        """The columns that are finance's; one that the intake reads as well is a column of both."""
        return self.finance.columns() if self.finance else frozenset()

    def read_columns(self) -> frozenset[str]:
        """Every column that the intake or finance reads."""
        return self.mapped_columns() | self.finance_columns()

    def _named_columns(self) -> frozenset[str]:
        names = set(self.key)
        if self.table:
            names |= {self.table.key, self.table.changed_at}
        if self.spoken:
            s = self.spoken
            names |= {s.collected_by, s.method, s.wording, s.purpose, s.topic, s.decision}
        names |= {consent.label_column for consent in self.consents if consent.label_column}
        return frozenset(names)


def _columns_of(node: object) -> list[str]:
    """All values under a `column` key anywhere in a dumped mapping."""
    if isinstance(node, dict):
        here = [node["column"]] if isinstance(node.get("column"), str) else []
        return here + [column for child in node.values() for column in _columns_of(child)]
    if isinstance(node, (list, tuple)):
        return [column for child in node for column in _columns_of(child)]
    return []


def json_schema() -> dict[str, object]:
    """The JSON Schema of a mapping, for editors to complete and check."""
    return Mapping.model_json_schema()
