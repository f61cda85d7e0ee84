"""The one hierarchy of errors, by what the caller should do.

    IntakeError
    ├── ConfigurationError          mend the settings, the mapping or the policy; retrying is useless
    │   └── MappingError            a mapping that is not valid, or does not fit the file it is for
    ├── BatchRefused                a whole batch cannot be understood; it stays in the landing and can be replayed
    ├── ActRefused                  an act of a person lacks what makes it one (a grant without its full record)
    ├── StoreError                  the database refused a statement
    │   └── StoreUnavailable        the database cannot be reached or is going down (transient)
    │       └── LockLost            what this process held alone is another's by now: leave off at once (transient)
    ├── DatabaseRestored            the database is older than what was erased since: bring it up to date first
    ├── WorkersLost                 one worker after another was lost in the same step: find out why, then run again
    ├── SourceError                 an outside source refused what was asked
    │   └── SourceUnavailable       a source cannot be reached now (transient)
    ├── CrmError                    the CRM refused a request
    │   ├── CrmUnavailable          throttled, down, or the answer was lost (transient)
    │   │   ├── CrmCancelled        we were told to stop before the request was sent
    │   │   └── ClaimStale          what was to be sent stands no more: it waited too long, and something came between
    │   ├── CrmConflict             the row is not what the plan thought: read it again and decide (reconcile)
    │   ├── ChangeTokenExpired      a delta link is too old or leads nowhere: read the table in full and compare (reconcile)
    │   ├── CrmRowRefused           this row will never be taken as it is: quarantine it
    │   └── CrmMisconfigured        credentials, privileges or names are wrong: stop the run
    ├── ApprovalRequired            what a named person approved is not what is there now: look again, then approve that
    └── RaisingRefused              the CRM as it is set up would reach people who did not agree: mend it there

A message names what was tried, the status, the request id and the remedy; never a person, a payload
or a URL with a query. A refused row is data with a reason, not an exception.
"""


class IntakeError(Exception):
    """Base of all errors of ours; `transient` tells whether the same call may succeed later."""

    transient = False


class ConfigurationError(IntakeError):
    """Settings, mappings or policy are wrong; the message says where and how to mend them."""


class MappingError(ConfigurationError):
    """A mapping is not valid."""


class BatchRefused(IntakeError):
    """A batch cannot be understood as a whole.

    `code` is a short stable word (`unmapped_column`, `cut_short`, `unreadable_encoding`...);
    `message` says what is wrong, `remedy` how to mend it. The batch is kept and can be replayed.
    """

    def __init__(self, code: str, message: str, *, remedy: str) -> None:
        super().__init__(f"{message} Remedy: {remedy}")
        self.code = code
        self.message = message
        self.remedy = remedy


class ActRefused(IntakeError):
    """An act cannot be recorded; `code` is a short stable word, and the message says what is missing, never of whom."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class StoreError(IntakeError):
    """The database refused a statement; carries sqlstate and constraint name, never values."""

    def __init__(self, message: str, *, sqlstate: str | None = None, constraint: str | None = None) -> None:
        super().__init__(f"{message} (sqlstate {sqlstate or 'unknown'}, constraint {constraint or 'none'})")
        self.sqlstate = sqlstate
        self.constraint = constraint


class StoreUnavailable(StoreError):
    """The database cannot be reached, or is going down."""

    transient = True


class DatabaseRestored(IntakeError):
    """The database was restored from a backup: nothing runs until the erasures since then are done again."""


class LockLost(StoreUnavailable):
    """A lock that this process held has gone to another, or may have: it slept, or lost its connection."""


class WorkersLost(IntakeError):
    """One worker after another was lost in the middle of the same step, which is not begun once more."""


class SourceError(IntakeError):
    """An outside source refused what was asked of it."""


class SourceUnavailable(SourceError):
    """A source cannot be reached now."""

    transient = True


class CrmError(IntakeError):
    """The CRM refused a request: `status` and `code` are the server's, `request_id` is for its support."""

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        code: str | None = None,
        request_id: str | None = None,
    ) -> None:
        super().__init__(f"{message} (status {status}, code {code or 'none'}, request {request_id or 'none'})")
        self.status = status
        self.code = code
        self.request_id = request_id


class CrmUnavailable(CrmError):
    """Throttled, down, or the answer was lost."""

    transient = True


class CrmCancelled(CrmUnavailable):
    """We were told to stop; what was asked for was not sent, or certainly not executed."""


class ClaimStale(CrmUnavailable):
    """What was to be sent waited, and by now not all of it is justified; it was not executed. Claim it anew."""


class CrmConflict(CrmError):
    """The row is not what the plan thought it was: read it again and decide."""


class ChangeTokenExpired(CrmError):
    """The delta link is too old (7 days by default) or leads nowhere: read in full and find deletions by comparing ids."""


class CrmRowRefused(CrmError):
    """The CRM will never take this row as it is."""


class CrmMisconfigured(CrmError):
    """Credentials, privileges, tables or columns are wrong; no row can succeed."""


class ApprovalRequired(IntakeError):
    """What was approved by name is not what is there now; `plan_id` names what is, for `--approve ID --by NAME`."""

    def __init__(self, plan_id: str, message: str) -> None:
        super().__init__(message)
        self.plan_id = plan_id


class RaisingRefused(IntakeError):
    """The CRM's set-up fails checks that protect people; `check_ids` names them, and only lowerings were sent."""

    def __init__(self, check_ids: tuple[str, ...], message: str) -> None:
        super().__init__(message)
        self.check_ids = check_ids
