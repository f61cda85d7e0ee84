"""Where a PostgreSQL database is, in the three spellings that its drivers want. Opens no connection."""

import re
from dataclasses import dataclass, replace
from urllib.parse import quote

from sqlalchemy.engine import URL

from schemas.errors import ConfigurationError

_ROLE_NAME = re.compile(r"[a-z_][a-z0-9_]{0,62}\Z")

# A sample of 6,000 rows is enough to tell a look-up from a scan; the server's own of 30,000 was a fifth of the server's
# work in a first load (measured). Its autovacuum keeps to its own. The cost of a random page is that of memory and SSDs:
# with the server's own, of turning disks, a day of 1,000 rows on 100,000 known people went through 14 large tables.
# A merge carries a group of 50,000 rows from statement to statement in temporary tables, some 50 MB; a session that has
# none takes nothing of it.
_COMMON = "-c timezone=UTC -c default_statistics_target=20 -c random_page_cost=1.1 -c temp_buffers=64MB"


def session_options(role: str | None) -> str:
    """The libpq `options` of every session of ours: the role to act as, UTC, and how much ANALYZE looks at."""
    if role is None:
        return _COMMON
    if not _ROLE_NAME.match(role):
        raise ConfigurationError(f"Role name {role!r} is not a plain lower-case PostgreSQL identifier.")
    return f"-c role={role} {_COMMON}"


@dataclass(frozen=True, slots=True)
class ServerAddress:
    """One database of one server; its repr hides the password, its URL properties do not.

    `dagster_database` names the database beside it that Dagster keeps its own storage in.
    """

    url: URL
    dagster_database: str = "dagster"

    @property
    def database(self) -> str:
        """The name of the database itself."""
        return str(self.url.database)

    @property
    def url_psycopg(self) -> str:
        """For SQLAlchemy in the store: `postgresql+psycopg://...`."""
        return self.url.set(drivername="postgresql+psycopg").render_as_string(hide_password=False)

    @property
    def url_psycopg2(self) -> str:
        """For Dagster and Celery, which work with no other driver: `postgresql+psycopg2://...`."""
        return self.url.set(drivername="postgresql+psycopg2").render_as_string(hide_password=False)

    @property
    def uri_adbc(self) -> str:
        """For ADBC, psycopg itself and the command-line tools: a libpq URI, `postgresql://...`."""
        url = self.url
        host = f"[{url.host}]" if url.host and ":" in url.host else url.host or ""
        user = quote(url.username or "", safe="")
        password = f":{quote(str(url.password), safe='')}" if url.password is not None else ""
        port = f":{url.port}" if url.port else ""
        query = "&".join(f"{key}={quote(str(value), safe='')}" for key, value in sorted(url.query.items()))
        login = f"{user}{password}@" if user else ""
        return f"postgresql://{login}{host}{port}/{quote(self.database, safe='')}" + (f"?{query}" if query else "")

    @property
    def dagster(self) -> "ServerAddress":
        """The database of Dagster's own storage on the same server; use its `url_psycopg2`."""
        return self.with_database(self.dagster_database)

    def with_database(self, name: str) -> "ServerAddress":
        """The same server, another database."""
        return replace(self, url=self.url.set(database=name))

    def acting_as(self, role: str | None) -> "ServerAddress":
        """The same database; every session acts as `role` (None: as who logs in) and in UTC."""
        given = str(self.url.query.get("options", ""))
        options = f"{given} {session_options(role)}".strip()
        return replace(self, url=self.url.update_query_dict({"options": options}))
