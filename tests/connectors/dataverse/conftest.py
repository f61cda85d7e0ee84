"""Stand-ins for the Dataverse client's tests: a scripted server on a real socket, a clock, tokens; the emulator."""

import json
import re
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from connectors.dataverse import ClientCertificate, ClientSecret, DataverseClient, DataverseSettings, TableName
from sandbox.dataverse.options import ClientOptions, EmulatorOptions
from sandbox.dataverse.server import RunningEmulator, start_emulator

PASSPHRASE = "correct horse"
BY_SECRET, BY_CERTIFICATE, STRANGER = (f"5a4d0000-0000-4000-8000-00000000000{n}" for n in range(3))
CONTACTS = TableName("contacts", "contact", "contactid")


@dataclass
class Seen:
    """A request as it came over the wire."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes
    at: float

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass
class Script:
    """What the server answers: `reply(seen)` gives (status, headers, body), `"cut"` or `"half"`."""

    reply: Callable[[Seen], Any] = lambda seen: (204, {}, b"")
    seen: list[Seen] = field(default_factory=list)
    base_url: str = ""

    def answer_in_turn(self, *answers: Any) -> None:
        """Gives these answers one after the other, the last one for ever."""
        left = list(answers)

        def reply(seen: Seen) -> Any:
            answer = left.pop(0) if len(left) > 1 else left[0]
            return answer(seen) if callable(answer) else answer

        self.reply = reply


class ManualClock:
    """A clock that moves only when somebody sleeps; keeps what was slept."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []
        self._lock = threading.Lock()

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        with self._lock:
            self.slept.append(seconds)
            self.now += seconds


class SteppedTime:
    """A clock for many threads: a sleep ends, and moves the clock on, only while no request is under way.

    So every request is made, and answered, at one moment of this clock. `follow` is told of each step in seconds.
    """

    def __init__(self, follow: Callable[[float], object] = lambda seconds: None) -> None:
        self.now = 1000.0
        self.client: DataverseClient | None = None
        self._follow = follow
        self._lock = threading.Lock()

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        until = self.now + seconds
        while self.now < until:
            with self._lock:
                if self.now < until and not self._is_busy():
                    self._follow(until - self.now)
                    self.now = until
            time.sleep(0.001)

    def _is_busy(self) -> bool:
        return self.client is not None and any(gate.in_flight for gate in self.client.gates)


class CountingTokens:
    """Tokens `token-0`, `token-1`...: a new one for each refresh."""

    def __init__(self) -> None:
        self.refreshes = 0

    def token(self) -> str:
        return f"token-{self.refreshes}"

    def refresh(self, rejected: str | None = None) -> str:
        self.refreshes += 1
        return self.token()


def error(status: int, code: str | None, **headers: str) -> tuple[int, dict[str, str], bytes]:
    """An error answer as the Web API gives it; the message names a person, as real ones do."""
    message = "Fehler bei maija.meikalainen@example.org"
    return status, headers, json.dumps({"error": {"code": code, "message": message}}).encode()


def answer_parts(*parts: tuple[int, dict[str, str], bytes]) -> tuple[int, dict[str, str], bytes]:
    """The answer to a $batch, one part for each operation."""
    body = b""
    for status, headers, content in parts:
        lines = [f"HTTP/1.1 {status} Reason", "OData-Version: 4.0", *(f"{k}: {v}" for k, v in headers.items())]
        head = "\r\n".join(["--batchresponse_1", "Content-Type: application/http", "", *lines, "", ""])
        body += head.encode() + content + b"\r\n"
    return 200, {"Content-Type": "multipart/mixed; boundary=batchresponse_1"}, body + b"--batchresponse_1--\r\n"


def operations_in(seen: Seen) -> list[str]:
    """The request lines inside a $batch."""
    return re.findall(r"^((?:PATCH|DELETE|GET) \S+) HTTP/1.1\r$", seen.body.decode(), re.MULTILINE)


def make_row(number: int, **changes: object) -> dict[str, object]:
    return {"contactid": str(uuid.UUID(int=number + 1)), "firstname": f"Name{number}", **changes}


def make_settings(base_url: str, **changes: Any) -> DataverseSettings:
    values: dict[str, Any] = {
        "tenant": "tenant",
        "client_id": "app",
        "credential": ClientSecret("secret"),
        "authority": base_url,
        "connect_timeout_s": 2.0,
        "read_timeout_s": 0.5,
    }
    return DataverseSettings(base_url=base_url, **{**values, **changes})


def _handler(script: Script) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            pass

        def _serve(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            seen = Seen(self.command, self.path, dict(self.headers), body, time.monotonic())
            script.seen.append(seen)
            answer = script.reply(seen)
            if answer == "cut":
                self.close_connection = True
                return
            if answer == "half":
                self._send(200, {"Content-Length": "1000"}, b'{"value":[')
                self.close_connection = True
                return
            status, headers, content = answer
            self._send(status, {"Content-Length": str(len(content)), **headers}, content)

        def _send(self, status: int, headers: dict[str, str], content: bytes) -> None:
            self.send_response_only(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PATCH = do_DELETE = _serve

    return Handler


@pytest.fixture
def script() -> Iterator[Script]:
    scripted = Script()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(scripted))
    server.daemon_threads = True
    scripted.base_url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield scripted
    server.shutdown()
    server.server_close()


@pytest.fixture
def manual_clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def tokens() -> CountingTokens:
    return CountingTokens()


@pytest.fixture
def client(script: Script, manual_clock: ManualClock, tokens: CountingTokens) -> Iterator[DataverseClient]:
    settings = make_settings(script.base_url)
    made = DataverseClient(settings, tokens=tokens, clock=manual_clock, sleep=manual_clock.sleep)
    yield made
    made.close()


@pytest.fixture
def kit() -> SimpleNamespace:
    """The builders of this file, for tests that cannot import a conftest."""
    return SimpleNamespace(
        contacts=CONTACTS,
        error=error,
        answer_parts=answer_parts,
        operations_in=operations_in,
        row=make_row,
        settings=make_settings,
        manual_clock=ManualClock,
        stepped_time=SteppedTime,
        tokens=CountingTokens,
        by_secret=BY_SECRET,
        by_certificate=BY_CERTIFICATE,
        stranger=STRANGER,
    )


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[ClientCertificate, str]:
    """A key behind a passphrase with its certificate, and the certificate for the server to know."""
    folder = tmp_path_factory.mktemp("certificate")
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "application")])
    begins_at = datetime.now(UTC) - timedelta(days=1)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(1).not_valid_before(begins_at).not_valid_after(begins_at + timedelta(days=9))
    pem = builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    encryption = serialization.BestAvailableEncryption(PASSPHRASE.encode())
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8)
    (folder / "key.pem").write_bytes(key.private_bytes(*form, encryption))
    (folder / "certificate.pem").write_bytes(pem)
    return ClientCertificate(folder / "key.pem", folder / "certificate.pem", PASSPHRASE), pem.decode()


@pytest.fixture(scope="session")
def shared_emulator(
    tmp_path_factory: pytest.TempPathFactory, certificate: tuple[ClientCertificate, str]
) -> Iterator[RunningEmulator]:
    clients = (
        ClientOptions(BY_SECRET, "s3cret"),
        ClientOptions(BY_CERTIFICATE, certificate_pem=certificate[1]),
        ClientOptions(STRANGER, "s3cret", is_member=False),
    )
    with start_emulator(
        tmp_path_factory.mktemp("crm"), options=EmulatorOptions(clients=clients, dop_hint=8)
    ) as running:
        yield running


@pytest.fixture
def emulator(shared_emulator: RunningEmulator) -> RunningEmulator:
    shared_emulator.control.clear_faults()
    shared_emulator.control.reset()
    return shared_emulator


@pytest.fixture
def settings(emulator: RunningEmulator) -> DataverseSettings:
    return DataverseSettings(
        base_url=emulator.base_url,
        tenant=emulator.tenant_id,
        client_id=BY_SECRET,
        credential=ClientSecret("s3cret"),
        authority=emulator.authority,
        ca_path=emulator.ca_path,
        read_timeout_s=5.0,
    )


@pytest.fixture
def crm(settings: DataverseSettings) -> Iterator[DataverseClient]:
    client = DataverseClient(settings)
    yield client
    client.close()
