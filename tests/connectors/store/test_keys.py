"""The key ring: made once whoever races, closed to others, and never silently another key."""

import subprocess
import sys
from pathlib import Path

import pytest

from connectors.store.keys import KEY_NAMES, KeyRing
from schemas.errors import ConfigurationError


def test_first_use_makes_a_key_that_stays(tmp_path: Path) -> None:
    for name in KEY_NAMES:
        key = KeyRing(tmp_path / "keys").current(name)
        assert len(key.secret) == 32 and key.key_id.startswith(f"{name}-0001-")
        assert KeyRing(tmp_path / "keys").current(name) == key
        assert KeyRing(tmp_path / "keys").by_id(name, key.key_id) == key


def test_different_names_and_rings_have_different_secrets(tmp_path: Path) -> None:
    secrets = {KeyRing(tmp_path / ring).current(name).secret for ring in ("a", "b") for name in KEY_NAMES}
    assert len(secrets) == 2 * len(KEY_NAMES)


def test_processes_that_race_get_the_same_key(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from connectors.store.keys import KeyRing;"
        "print(KeyRing(Path(sys.argv[1])).current('guid_salt').secret.hex())"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "keys")]
    started = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(6)]
    assert len({process.communicate(timeout=30)[0] for process in started}) == 1
    assert [path.name for path in (tmp_path / "keys").iterdir()] == ["guid_salt-0001.key"]


def test_files_are_closed_to_others(tmp_path: Path) -> None:
    ring = tmp_path / "keys"
    KeyRing(ring).current("link")
    assert ring.stat().st_mode & 0o777 == 0o700
    assert (ring / "link-0001.key").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("opened", [".", "link-0001.key"])
def test_ring_open_to_others_is_refused(tmp_path: Path, opened: str) -> None:
    ring = tmp_path / "keys"
    KeyRing(ring).current("link")
    (ring / opened).chmod(0o755)
    with pytest.raises(ConfigurationError, match="chmod"):
        KeyRing(ring).current("link")


def test_only_the_first_key_of_a_name_is_asked_about_and_may_be_refused(tmp_path: Path) -> None:
    asked: list[str] = []
    ring = KeyRing(tmp_path / "keys", before_first=asked.append)
    for _ in range(2):
        ring.current("ledger")
    ring.rotate("landing")
    ring.current("landing")
    assert asked == ["ledger"]

    def refuse(name: str) -> None:
        raise ConfigurationError(name)

    with pytest.raises(ConfigurationError, match="link"):
        KeyRing(tmp_path / "keys", before_first=refuse).current("link")
    assert KeyRing(tmp_path / "keys").all_keys("link") == []


def test_rotation_keeps_the_older_keys(tmp_path: Path) -> None:
    ring = KeyRing(tmp_path / "keys")
    first = ring.current("landing")
    second = ring.rotate("landing")
    assert ring.current("landing") == second != first
    assert ring.by_id("landing", first.key_id) == first
    assert ring.all_keys("landing") == [first, second]


def test_guid_salt_never_rotates(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="never rotates"):
        KeyRing(tmp_path / "keys").rotate("guid_salt")


def test_key_put_back_wrongly_is_noticed(tmp_path: Path) -> None:
    ring = KeyRing(tmp_path / "keys")
    key_id = ring.current("landing").key_id
    (tmp_path / "keys" / "landing-0001.key").write_text("00" * 32)
    with pytest.raises(ConfigurationError, match=key_id):
        ring.by_id("landing", key_id)


@pytest.mark.parametrize("content", ["", "zz", "00" * 31])
def test_file_that_holds_no_key_is_refused(tmp_path: Path, content: str) -> None:
    ring = KeyRing(tmp_path / "keys")
    ring.current("landing")
    (tmp_path / "keys" / "landing-0001.key").write_text(content)
    with pytest.raises(ConfigurationError, match="does not hold a key"):
        ring.current("landing")


def test_secret_is_in_no_repr_and_unknown_names_are_refused(tmp_path: Path) -> None:
    key = KeyRing(tmp_path / "keys").current("ledger")
    assert key.secret.hex() not in repr(key) and str(key.secret) not in repr(key)
    with pytest.raises(ConfigurationError, match="no key called"):
        KeyRing(tmp_path / "keys").current("../landing")


def test_a_ring_that_cannot_be_written_says_how_it_comes_to_its_keys(tmp_path: Path) -> None:
    (tmp_path / "closed").write_text("")
    with pytest.raises(ConfigurationError, match=r"a link key was to be made.*keys make"):
        KeyRing(tmp_path / "closed" / "keys").rotate("link")
