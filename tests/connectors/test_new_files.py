"""New files: never over another one, for their owner alone, and gone again where what was to stand in them failed."""

from pathlib import Path

import pytest

from connectors.new_files import new_file
from schemas.errors import ConfigurationError


def test_a_new_file_is_its_owners_alone(tmp_path: Path) -> None:
    with new_file(tmp_path / "new") as file:
        file.write(b"content")
    assert (tmp_path / "new").read_bytes() == b"content"
    assert (tmp_path / "new").stat().st_mode & 0o777 == 0o600


def test_a_file_that_is_there_already_is_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "old").write_bytes(b"mine")
    with pytest.raises(ConfigurationError, match="old is there already"), new_file(tmp_path / "old") as file:
        file.write(b"other")
    assert (tmp_path / "old").read_bytes() == b"mine"


def test_where_no_file_can_be_made_the_error_says_why(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="No such file or directory"), new_file(tmp_path / "no" / "new"):
        pass


@pytest.mark.parametrize("failure", [ValueError, KeyboardInterrupt])
def test_half_a_file_does_not_stay(tmp_path: Path, failure: type[BaseException]) -> None:
    with pytest.raises(failure), new_file(tmp_path / "half") as file:
        file.write(b"some people")
        raise failure
    assert list(tmp_path.iterdir()) == []
