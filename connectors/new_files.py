"""New files with people's data that a command writes for whoever asked: never over another one, and for their owner alone."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from schemas.errors import ConfigurationError


@contextmanager
def new_file(path: Path) -> Iterator[BinaryIO]:
    """A file to write that only its owner can read; gone again where the block fails.

    ConfigurationError where there is a file of that name, or none can be made there.
    """
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise ConfigurationError(f"{path.name} is there already: name a new file, or remove it.") from None
    except OSError as error:
        raise ConfigurationError(f"{path.name} cannot be made there: {error.strerror}.") from None
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
    except BaseException:
        path.unlink(missing_ok=True)
        raise
