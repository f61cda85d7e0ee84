"""From bytes to text: which encodings are read, and which damage is refused. The bytes of files only.

The order is: byte order mark, strict UTF-8, cp1252. Guessing libraries take Finnish cp1252 for cp1250 or Johab, so
nothing is guessed; damage that an earlier wrong conversion left is refused, for no one can repair it surely.
"""

import codecs
import re

from schemas.errors import BatchRefused

# UTF-8 read as cp1252 and saved again: å, ä, ö and é begin with Ã; no-break space and quotation marks with Â and â€.
_DOUBLE_ENCODED = re.compile("Ã[\x80-\xbf€‚ƒ„…†‡ˆ‰Š‹ŒŽ‘’“”•–—˜™š›œžŸ]|Â[\xa0-\xbf]|â€[\x80-\x9d™œž¢¦“”˜]")
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
    if "\x00" in text or "\ufffd" in text or _is_double_encoded(text):
        raise _unreadable("The file's text was damaged by an earlier conversion, or holds NUL characters.")
    return text


def cut_short(what: str) -> BatchRefused:
    """The refusal of a file that is not whole."""
    return BatchRefused("cut_short", what, remedy="Deliver the whole file again; nothing was taken from this one.")


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


def _is_double_encoded(text: str) -> bool:
    return any(lead in text for lead in "ÃÂâ") and _DOUBLE_ENCODED.search(text) is not None


def _unreadable(what: str) -> BatchRefused:
    return BatchRefused("unreadable_encoding", what, remedy="Export the file again as UTF-8.")
