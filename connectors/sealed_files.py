"""Files that leave the house: an archive under AES-256 that common programs open with its passphrase (WinZip AE-2).

The passphrase goes to the recipient by another way, and never stands in the arguments of a command.
"""

import io
from pathlib import Path

from connectors.new_files import new_file
from schemas.errors import ConfigurationError

MIN_PASSPHRASE = 14


def seal(path: Path, name: str, content: bytes, *, passphrase: str) -> None:
    """Write `content` as the member `name` of a new archive, readable by its owner alone. ConfigurationError where the
    passphrase is too short, or the file is there already."""
    if len(passphrase) < MIN_PASSPHRASE:
        raise ConfigurationError(f"The passphrase has fewer than {MIN_PASSPHRASE} characters. Give a longer one.")
    # Its import is a tenth of the time in which a command starts, and few commands seal.
    import pyzipper

    packed = io.BytesIO()
    with pyzipper.AESZipFile(packed, "w", compression=pyzipper.ZIP_DEFLATED, encryption=pyzipper.WZ_AES) as archive:
        archive.setpassword(passphrase.encode())
        archive.setencryption(pyzipper.WZ_AES, nbits=256)
        archive.writestr(name, content)
    with new_file(path) as file:
        file.write(packed.getvalue())
