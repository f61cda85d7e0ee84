"""Archives of submissions, one JSON document each, as Drupal's exporter packs them (tar, tar.gz, zip). Pure.

What is unpacked is bounded before it is unpacked: number of documents, their size, and how much an archive may grow.
"""

import io
import tarfile
import zipfile
import zlib
from collections.abc import Iterator

from connectors.text_encoding import cut_short
from schemas.errors import BatchRefused

MAX_DOCUMENTS = 100_000
MAX_UNPACKED = 256 << 20
_ZIP, _GZIP, _TAR, _TAR_AT = b"PK\x03\x04", b"\x1f\x8b", b"ustar", 257


def is_archive(payload: bytes) -> bool:
    """Whether the bytes begin as an archive does."""
    return payload.startswith((_ZIP, _GZIP)) or payload[_TAR_AT : _TAR_AT + len(_TAR)] == _TAR


def is_within(payload: bytes, most: int) -> bool:
    """Whether what is to be read of the bytes, unpacked where they are an archive, is at most so large.

    Raises BatchRefused (`cut_short`) where an archive is not whole.
    """
    if not is_archive(payload):
        return len(payload) <= most
    try:
        documents_in(payload, most)
    except BatchRefused as refused:
        if refused.code == "zip_bomb":
            return False
        raise
    return True


def documents_in(payload: bytes, most: int = MAX_UNPACKED) -> list[bytes]:
    """The JSON documents of an archive, by name; other members are left alone.

    Raises BatchRefused: `cut_short` where the archive is not whole, `zip_bomb` where it would grow out of bounds.
    """
    try:
        found = dict(_of_zip(payload, most) if payload.startswith(_ZIP) else _of_tar(payload, most))
    except (
        zipfile.BadZipFile,
        tarfile.TarError,
        zlib.error,
        EOFError,
        OSError,
        ValueError,
        NotImplementedError,
        RuntimeError,
    ):
        raise cut_short("The archive is not whole.") from None
    return [found[name] for name in sorted(found)]


def _of_zip(payload: bytes, most: int) -> Iterator[tuple[str, bytes]]:
    with zipfile.ZipFile(io.BytesIO(payload)) as archive:
        members = [member for member in archive.infolist() if member.filename.endswith(".json")]
        _refuse_too_much(len(members), sum(member.file_size for member in members), most)
        for member in members:
            with archive.open(member) as opened:
                yield member.filename, _bounded(opened.read(most + 1), most)


def _of_tar(payload: bytes, most: int) -> Iterator[tuple[str, bytes]]:
    unpacked = _gunzipped(payload, most) if payload.startswith(_GZIP) else payload
    with tarfile.open(fileobj=io.BytesIO(unpacked), mode="r:") as archive:
        members = [member for member in archive if member.isfile() and member.name.endswith(".json")]
        _refuse_too_much(len(members), sum(member.size for member in members), most)
        for member in members:
            opened = archive.extractfile(member)
            content = opened.read() if opened else b""
            if len(content) < member.size:
                raise cut_short("The archive is not whole.")
            yield member.name, content


def _gunzipped(payload: bytes, most: int) -> bytes:
    stream = zlib.decompressobj(wbits=31)
    unpacked = _bounded(stream.decompress(payload, most + 1), most)
    if not stream.eof:
        raise cut_short("The archive is not whole.")
    return unpacked


def _bounded(content: bytes, most: int) -> bytes:
    _refuse_too_much(1, len(content), most)
    return content


def _refuse_too_much(documents: int, size: int, most: int) -> None:
    if documents > MAX_DOCUMENTS or size > most:
        message = f"The archive would grow to {documents} documents of {size} bytes together."
        raise BatchRefused("zip_bomb", message, remedy="Export fewer submissions per file.")
