"""REST: how a feed is pulled from an HTTP service that answers with JSON. Data, part of a mapping's language.

A new service needs no code: its address, how it lets us in, how it turns its pages, how it takes the window of time,
and where in its answers the records are. A secret is never here: only the name under which the settings know it.
"""

from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
SecretName = Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9_]{1,60}$")]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


def checked_address(address: str) -> str:
    """An address that a secret may be sent to: HTTPS (HTTP on this machine only), without user, query or fragment."""
    try:
        parts = urlsplit(address)
        _ = parts.port
    except ValueError:
        raise ValueError("it is not an address") from None
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in LOOPBACK):
        raise ValueError("the address must begin with https://")
    if not parts.hostname or parts.username or parts.password or parts.query or parts.fragment:
        raise ValueError("the address needs a host, and may hold no user, query or fragment: give params and auth")
    return address


class RestAuth(_Strict):
    """How the service lets us in. `secret`, `username` and `client_id` name settings (INTAKE_REST_<NAME>), not values.

    `bearer` sends the secret as a bearer token, `header` as it is in `header`, after `prefix`; `basic` with a user name;
    `oauth2` fetches a token by client credentials (RFC 6749, 4.4) from `token_url`, which sees the secret.
    """

    kind: Literal["none", "bearer", "header", "basic", "oauth2"] = "none"
    secret: SecretName | None = None
    username: SecretName | None = None
    client_id: SecretName | None = None
    header: str = Field(default="Authorization", pattern=r"^[A-Za-z0-9-]{1,60}$")
    prefix: str = ""
    token_url: str | None = None
    scope: str | None = None
    credentials_in: Literal["header", "body"] = "header"

    @field_validator("token_url")
    @classmethod
    def _is_safe(cls, token_url: str | None) -> str | None:
        return None if token_url is None else checked_address(token_url)

    @model_validator(mode="after")
    def _is_complete(self) -> "RestAuth":
        needed = {"basic": ("secret", "username"), "oauth2": ("secret", "client_id", "token_url"), "none": ()}
        missing = [name for name in needed.get(self.kind, ("secret",)) if getattr(self, name) is None]
        if missing:
            raise ValueError(f"{self.kind} needs {', '.join(missing)}")
        return self


class RestPaging(_Strict):
    """How the service turns its pages.

    `page` counts pages from `first`, `offset` rows from `first`; both end with a page that brings nothing new.
    `cursor` sends the value at `next_path` as `param`; `next_url` follows the address at `next_path`; `link` follows
    the Link header with rel=next (RFC 8288). All three end where there is none.
    """

    kind: Literal["none", "page", "offset", "cursor", "next_url", "link"] = "none"
    param: str | None = None
    size_param: str | None = None
    page_rows: int = Field(default=500, ge=1, le=100_000)
    first: int = Field(default=0, ge=0)
    next_path: str | None = None
    most_pages: int = Field(default=10_000, ge=1, le=1_000_000)

    @model_validator(mode="after")
    def _is_complete(self) -> "RestPaging":
        needed = {
            "page": ("param",),
            "offset": ("param",),
            "cursor": ("param", "next_path"),
            "next_url": ("next_path",),
        }
        missing = [name for name in needed.get(self.kind, ()) if getattr(self, name) is None]
        if missing:
            raise ValueError(f"paging by {self.kind} needs {', '.join(missing)}")
        return self


class RestWindow(_Strict):
    """The parameters that limit an answer to what changed from `since` (inclusive) to `until` (exclusive)."""

    since: str | None = None
    until: str | None = None
    format: Literal["iso", "date", "unix", "unix_ms"] = "iso"


class RestShape(_Strict):
    """One kind of record of one service. `records` is where they are in an answer (a JMESPath, https://jmespath.org).
    An answer that has none there is an error; "orders || `[]`" is for a service that leaves an empty list out.

    A record's columns are the paths of its values (`customer.email`); a list of records within it is taken apart by the
    mapping's `arrangement.items`. `requests_per_s` is what the service allows. Answers beyond the limits are refused.
    """

    base_url: str
    path: Annotated[str, Field(pattern=r"^[^/?#:][^?#]*$")]
    params: dict[str, str] = Field(default_factory=dict)
    headers: dict[str, str] = Field(default_factory=dict)
    auth: RestAuth = RestAuth()
    paging: RestPaging = RestPaging()
    window: RestWindow = RestWindow()
    records: str = "@"
    requests_per_s: float | None = Field(default=None, gt=0, le=1000)
    most_mb_an_answer: int = Field(default=20, ge=1, le=200)
    most_mb: int = Field(default=200, ge=1, le=1000)

    @field_validator("base_url")
    @classmethod
    def _is_safe(cls, base_url: str) -> str:
        return checked_address(base_url)

    @field_validator("path")
    @classmethod
    def _stays_below(cls, path: str) -> str:
        segments = path.split("/")
        if ".." in segments or "\\" in path or ":" in segments[0]:
            raise ValueError("the path must stay below base_url: no .., no \\ and no address of its own")
        return path

    @model_validator(mode="after")
    def _secrets_are_elsewhere(self) -> "RestShape":
        if any(name.lower() in ("authorization", "cookie", "proxy-authorization") for name in self.headers):
            raise ValueError("credentials do not belong into headers here: give auth, and the secret in the settings")
        return self
