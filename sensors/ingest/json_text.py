"""JSON bodies taken apart level by level: each part stays as it was written until it is looked at, so that what cannot
be read spoils its own reading only, and can be shown as it was sent.
"""

import codecs
import math
import re
from collections.abc import Callable
from typing import Any

import msgspec

from sensors.ingest.parsed import MAX_READINGS, MalformedBody, RowProblem, TooManyReadings

# Python's json writes these, and JSON has none of them.
_quote_bare = re.compile(rb"(?<=[\s:,\[])-?(?:NaN|Infinity)(?=[\s,\]}])").sub

# Far beyond what 10,000 readings need: refused before a million tiny elements fill the memory.
_MAX_COMMAS = 30 * MAX_READINGS

_decode_list = msgspec.json.Decoder(list[msgspec.Raw]).decode
_decode_object = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_decode_either = msgspec.json.Decoder(list[msgspec.Raw] | dict[str, msgspec.Raw]).decode
_decode_plain = msgspec.json.Decoder().decode


def checked_text(body: bytes) -> bytes:
    """The body without its byte order mark; raises `MalformedBody` where it is no text, `TooManyReadings` early."""
    body = body.removeprefix(codecs.BOM_UTF8)
    if b"\0" in body:
        raise MalformedBody("The body contains a NUL byte.")
    try:
        body.decode()
    except UnicodeDecodeError as error:
        raise MalformedBody(f"The body is not UTF-8: {error.reason} at byte {error.start}.") from error
    if body.count(b",") > _MAX_COMMAS:
        raise TooManyReadings
    return body


def body_list(body: bytes) -> list[msgspec.Raw]:
    """The elements of a body that must be a list; raises `MalformedBody`."""
    return _whole(_decode_list, body)


def body_object(body: bytes, *, is_strict: bool = False) -> dict[str, msgspec.Raw]:
    """The members of a body that must be an object, the last of the same name; raises `MalformedBody`.

    `is_strict`: for one without numbers to spoil, a bare NaN is no JSON.
    """
    return _whole(_decode_object, body, is_strict=is_strict)


def body_list_or_object(
    body: bytes, *, is_strict: bool = False
) -> list[msgspec.Raw] | dict[str, msgspec.Raw]:
    """The parts of a body that may be either, as `body_object`; raises `MalformedBody`."""
    return _whole(_decode_either, body, is_strict=is_strict)


def decode_leniently(decode: Callable[[bytes], Any], body: bytes) -> Any:
    """What `decode` makes of a body, with a bare NaN or Infinity as the text "NaN" or "Infinity": so it spoils its own
    reading alone. Raises `msgspec.DecodeError` and `RecursionError` as `decode` does.
    """
    try:
        return decode(body)
    except msgspec.DecodeError:
        quoted = _quote_bare(rb'"\g<0>"', body)
        if quoted == body:
            raise
        return decode(quoted)


def _whole(decode: Any, body: bytes, *, is_strict: bool = False) -> Any:
    try:
        return decode(body) if is_strict else decode_leniently(decode, body)
    except RecursionError as error:
        raise MalformedBody("The body is nested too deeply.") from error
    except msgspec.DecodeError as error:
        raise MalformedBody(f"The body is not what its format says: {error}.") from error


def members(raw: msgspec.Raw) -> dict[str, msgspec.Raw] | None:
    """The members of a part, the last of the same name; None where it is no object."""
    try:
        return _decode_object(raw)
    except (msgspec.ValidationError, RecursionError):
        return None


def elements(raw: msgspec.Raw) -> list[msgspec.Raw] | None:
    """The elements of a part, None where it is no list."""
    try:
        return _decode_list(raw)
    except (msgspec.ValidationError, RecursionError):
        return None


def plain(raw: msgspec.Raw) -> Any:
    """A part as Python's own values; a number that no float can hold comes as infinity, for the rules to refuse.

    Raises `RowProblem` where it is nested too deeply.
    """
    try:
        return _decode_plain(raw)
    except msgspec.ValidationError:
        return math.inf
    except RecursionError as error:
        raise RowProblem("invalid_row", "This is nested too deeply.") from error
