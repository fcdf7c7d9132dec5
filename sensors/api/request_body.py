"""The body of a request that a program posts, and the refusal of such a request as a whole."""

from collections.abc import Mapping
from typing import BinaryIO, TypeVar, cast

from django.http import HttpRequest

from sensors.ingest.body import BrokenEncoding, TooLarge, UnsupportedEncoding, read_body

Format = TypeVar("Format")


class RefusedRequest(Exception):
    """A request that is refused as a whole: an HTTP status, a stable code, and words for a person."""

    def __init__(self, status: int, code: str, detail: str, *, headers: dict[str, str] | None = None) -> None:
        super().__init__(detail)
        self.status, self.code, self.detail, self.headers = status, code, detail, headers or {}


def format_of(request: HttpRequest, formats: Mapping[str, Format]) -> Format:
    """Of formats by content type the request's own, JSON where it names none; raises RefusedRequest."""
    media_type = request.content_type or "application/json"
    if media_type not in formats:
        known = ", ".join(formats)
        words = f'The content type "{media_type}" is not understood. Understood are {known}.'
        raise RefusedRequest(415, "unsupported_media_type", words)
    return formats[media_type]


def body_of(request: HttpRequest) -> bytes:
    """The body, unpacked and bounded; raises RefusedRequest."""
    encoding = request.headers.get("Content-Encoding", "")
    try:
        body = read_body(_stream(request), encoding=encoding)
    except UnsupportedEncoding as error:
        raise RefusedRequest(415, "unsupported_encoding", str(error)) from error
    except TooLarge as error:
        raise RefusedRequest(413, "too_large", str(error)) from error
    except BrokenEncoding as error:
        raise RefusedRequest(400, "malformed", str(error)) from error
    except OSError as error:
        raise RefusedRequest(400, "malformed", "The body broke off.") from error
    # The server hands on what came when the client was cut off: half a last line may look whole.
    length = str(request.META.get("CONTENT_LENGTH", ""))
    if not encoding and length.isdecimal() and len(body) < int(length):
        raise RefusedRequest(400, "malformed", "The body broke off.")
    return body


def _stream(request: HttpRequest) -> BinaryIO:
    """The body to be read. One sent in chunks tells no length, and Django would take it for empty."""
    if "chunked" not in request.headers.get("Transfer-Encoding", "").lower():
        return cast(BinaryIO, request)
    if not request.META.get("wsgi.input_terminated"):
        raise RefusedRequest(
            411, "length_required", "Send the Content-Length: this server cannot read a body in chunks."
        )
    return request.META["wsgi.input"]
