"""The body of a request as bytes: unpacked, and never larger than a limit, whatever was packed into it."""

import zlib
from typing import Any, BinaryIO

MAX_BODY_BYTES = 10 * 1024 * 1024
_CHUNK = 64 * 1024
_GZIP = b"\x1f\x8b"
"""How a gzip member begins. No text does: the second byte begins no character of UTF-8."""


class TooLarge(ValueError):
    """The body, unpacked, is over the limit."""


class UnsupportedEncoding(ValueError):
    """The body is packed in a way that is not understood."""


class BrokenEncoding(ValueError):
    """The body is not what its Content-Encoding says, or says nothing of."""


def read_body(stream: BinaryIO, *, encoding: str = "", limit: int = MAX_BODY_BYTES) -> bytes:
    """Read a body of at most `limit` bytes after decompression; `encoding` is a Content-Encoding header.

    Raises TooLarge, UnsupportedEncoding or BrokenEncoding; memory stays within about twice the limit.
    """
    match encoding.strip().lower():
        case "" | "identity":
            body = stream.read(limit + 1)
            if body.startswith(_GZIP):
                raise BrokenEncoding("The body is gzip, but no header says so: send Content-Encoding: gzip.")
        case "gzip" | "x-gzip":
            body = _unpack(stream, limit)
        case other:
            raise UnsupportedEncoding(f'Content-Encoding "{other}" is not understood; send gzip or none.')
    if len(body) > limit:
        raise TooLarge(f"The body is larger than {limit // 1024 // 1024} MiB; send it in several requests.")
    return body


def _unpack(stream: BinaryIO, limit: int) -> bytes:
    """The members of a gzip stream, one after another, up to a byte more than the limit."""
    unpacked = bytearray()
    unpacker = _new_unpacker()
    packed = b""
    try:
        while len(unpacked) <= limit:
            packed = packed or stream.read(_CHUNK)
            if not packed:
                break
            if unpacker.eof:
                unpacker = _new_unpacker()
            unpacked += unpacker.decompress(packed, limit + 1 - len(unpacked))
            packed = unpacker.unused_data if unpacker.eof else unpacker.unconsumed_tail
    except zlib.error as error:
        raise BrokenEncoding("The body is not gzip, as its Content-Encoding says.") from error
    if len(unpacked) <= limit and not unpacker.eof:
        raise BrokenEncoding("The gzip body ends too early.")
    return bytes(unpacked)


def _new_unpacker() -> Any:
    return zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
