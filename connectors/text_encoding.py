"""From bytes to text: which encodings are read, and which damage is refused. The bytes of files only.

The order is: byte order mark, strict UTF-8, cp1252. Guessing libraries take Finnish cp1252 for cp1250 or Johab, so
nothing is guessed; damage that an earlier wrong conversion left is refused, for no one can repair it surely.
"""

import codecs
import re
from collections.abc import Iterator

from schemas.errors import BatchRefused

# UTF-8 read as cp1252 and saved again: å, ä, ö and é begin with Ã; no-break space and quotation marks with Â and â€;
# U+FFFD is ï¿½.
_DOUBLE_ENCODED = re.compile("Ã[\x80-\xbf€‚ƒ„…†‡ˆ‰Š‹ŒŽ‘’“”•–—˜™š›œžŸ]|Â[\xa0-\xbf]|â€[\x80-\x9d™œž¢¦“”˜]|ï¿½")
_PIECE = 1 << 20
# PHP takes the backslash for an escape, and leaves the quotation mark after it single (https://www.php.net/fputcsv).
_TYPED, _LINE_END = b'\\"', b"\n"
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def decode_text(payload: bytes) -> str:
    """The text of a file, without its byte order mark.

    Raises BatchRefused: `cut_short` for no bytes at all or a character cut in two at the end, `unreadable_encoding`
    for bytes of no known encoding, NUL, U+FFFD and text that was encoded twice.
    """
    if not payload:
        raise cut_short("The file is empty.")
    text = _decoded(payload)
    if _is_damaged(text):
        raise _damaged()
    return text


def as_utf8(payload: bytes) -> bytes:
    """The text of a file as UTF-8, without its byte order mark; refuses what `decode_text` does.

    Text that is UTF-8 already is looked at piece by piece and never held as a whole beside its bytes.
    """
    body = payload.removeprefix(codecs.BOM_UTF8)
    if not body or payload.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return decode_text(payload).encode()
    try:
        damaged = [_is_damaged(str(piece, "utf-8")) for piece in _pieces(body)]
    except UnicodeDecodeError:
        return decode_text(payload).encode()
    if any(damaged):
        raise _damaged()
    return body


def _pieces(body: bytes) -> Iterator[memoryview]:
    """About a megabyte each, ending where a line does, so that no character is cut."""
    view, start = memoryview(body), 0
    while start < len(body):
        end = body.find(b"\n", start + _PIECE) + 1 or len(body)
        yield view[start:end]
        start = end


def cut_short(what: str) -> BatchRefused:
    """The refusal of a file that is not whole."""
    return BatchRefused("cut_short", what, remedy="Deliver the whole file again; nothing was taken from this one.")


def why_open(text: bytes) -> str | None:
    """Why a quotation is left open at the end of delimited text, and what to do where the text is whole; None where none is."""
    if text.count(b'"') % 2 == 0:
        return None
    before, typed, _ = text.partition(_TYPED)
    if not typed:
        return "ends within a quoted cell"
    return (
        f"ends within a quoted cell, or is whole and holds a {_TYPED.decode()} that somebody typed (the first in line"
        f" {before.count(_LINE_END) + 1}), which PHP's export, as Drupal's, does not double: deliver the form as JSON, or take"
        " the backslash out of the answer and export again"
    )


def _decoded(payload: bytes) -> str:
    encoding = next((name for mark, name in _MARKS if payload.startswith(mark)), None)
    try:
        return payload.decode(encoding or "utf-8")
    except UnicodeDecodeError as error:
        is_cut, is_marked = error.end >= len(payload) and "end of data" in error.reason, encoding is not None
    if is_cut or (is_marked and encoding == "utf-16" and len(payload) % 2):
        raise cut_short("The file ends within a character.")
    if is_marked:
        raise _unreadable("The file's bytes are not of the encoding that its byte order mark names.")
    return _from_cp1252(payload)


def _from_cp1252(payload: bytes) -> str:
    try:
        return payload.decode("cp1252")
    except UnicodeDecodeError:
        raise _unreadable("The file's bytes are neither UTF-8 nor Windows-1252.") from None


def _is_damaged(text: str) -> bool:
    is_double_encoded = any(lead in text for lead in "ÃÂâï") and _DOUBLE_ENCODED.search(text) is not None
    return is_double_encoded or "\x00" in text or "\ufffd" in text


def _unreadable(what: str) -> BatchRefused:
    return BatchRefused("unreadable_encoding", what, remedy="Export the file again as UTF-8.")


def _damaged() -> BatchRefused:
    return _unreadable("The file's text was damaged by an earlier conversion, or holds NUL characters.")
