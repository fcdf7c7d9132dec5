"""What nobody should send, to every address and in every format: a clear refusal, in little memory, and nothing stored
that should not be.
"""

import gzip
import io
import tracemalloc
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache, partial

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensors.ingest.body import MAX_BODY_BYTES
from sensors.ingest.formats import csv, json, line_protocol, ndjson, senml, thingsboard, wide_csv
from sensors.ingest.naming import Naming
from sensors.ingest.parsed import MalformedBody, ParsedReadings, TooManyReadings
from sensors.models import Reading
from smartmaint import clock
from smartmaint.accounts.models import Scope
from smartmaint.accounts.services import issue_api_key
from tests.plants import make_plant, make_sensor

NOW = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)
NOW_S = int(NOW.timestamp())
MEBIBYTE = 1024 * 1024


@dataclass(frozen=True)
class Format:
    """How one reading is written: a template with <name>, <time> and <value>, and what the value is called there."""

    name: str
    url: str
    content_type: str
    template: bytes
    parse: Callable[[bytes], ParsedReadings]
    now: bytes
    value_label: bytes = b""  # of a JSON format

    def write(
        self, *, name: bytes = b"vibration", time: bytes | None = None, value: bytes = b"4.25"
    ) -> bytes:
        body = self.template.replace(b"<time>", self.now if time is None else time)
        return body.replace(b"<value>", value).replace(b"<name>", name)

    @property
    def is_json(self) -> bool:
        return bool(self.value_label)

    def year(self, year: int) -> bytes:
        """A moment of a year, as the format writes it."""
        seconds = (year - 1970) * 31_556_952
        match self.name:
            case "SenML":
                return b"%d" % seconds
            case "ThingsBoard device" | "ThingsBoard gateway":
                return b"%d" % (seconds * 1_000)
            case "line protocol":
                return b"%d" % (seconds * 10**9)
            case "CSV" | "wide CSV":
                return b"%04d-06-01T00:00:00Z" % year
        return b'"%04d-06-01T00:00:00Z"' % year


FORMATS = [
    Format(
        name="JSON",
        url="/api/v1/readings",
        content_type="application/json",
        template=b'{"readings": [{"sensor": "pump-7/<name>", "ts": <time>, "value": <value>}]}',
        parse=json.parse,
        now=b'"2026-11-22T10:00:00Z"',
        value_label=b'"value"',
    ),
    Format(
        name="NDJSON",
        url="/api/v1/readings",
        content_type="application/x-ndjson",
        template=b'{"sensor": "pump-7/<name>", "ts": <time>, "value": <value>}',
        parse=ndjson.parse,
        now=b'"2026-11-22T10:00:00Z"',
        value_label=b'"value"',
    ),
    Format(
        name="SenML",
        url="/api/v1/readings",
        content_type="application/senml+json",
        template=b'[{"bn": "pump-7/"}, {"n": "<name>", "t": <time>, "v": <value>}]',
        parse=senml.parse,
        now=b"%d" % NOW_S,
        value_label=b'"v"',
    ),
    Format(
        name="ThingsBoard device",
        url="/api/v1/telemetry?device=pump-7",
        content_type="application/json",
        template=b'[{"ts": <time>, "values": {"<name>": <value>}}]',
        parse=partial(thingsboard.parse, device="pump-7"),
        now=b"%d" % (NOW_S * 1_000),
        value_label=b'"vibration"',
    ),
    Format(
        name="ThingsBoard gateway",
        url="/api/v1/gateway/telemetry",
        content_type="application/json",
        template=b'{"pump-7": [{"ts": <time>, "values": {"<name>": <value>}}]}',
        parse=thingsboard.parse_gateway,
        now=b"%d" % (NOW_S * 1_000),
        value_label=b'"vibration"',
    ),
    Format(
        name="CSV",
        url="/api/v1/readings",
        content_type="text/csv",
        template=b"sensor,ts,value\npump-7/<name>,<time>,<value>\n",
        parse=csv.parse,
        now=b"2026-11-22T10:00:00Z",
    ),
    Format(
        name="wide CSV",
        url="/api/v1/readings",
        content_type="text/csv",
        template=b"ts,pump-7/<name>\n<time>,<value>\n",
        parse=wide_csv.parse,
        now=b"2026-11-22T10:00:00Z",
    ),
    Format(
        name="line protocol",
        url="/api/v2/write",
        content_type="text/plain; charset=utf-8",
        template=b"pump-7 <name>=<value> <time>\n",
        parse=partial(line_protocol.parse, naming=Naming(), now_us=NOW_S * 1_000_000),
        now=b"%d" % (NOW_S * 10**9),
    ),
]
every_format = pytest.mark.parametrize("wire", FORMATS, ids=lambda wire: wire.name.replace(" ", "-"))

# What a request may be answered with, and how many readings it may leave behind.
REFUSED = {400, 413, 415, 422}
STORED = {200, 204}
GZIP = {"Content-Encoding": "gzip"}


@dataclass(frozen=True)
class Hostile:
    """A body, and which answers to it are right: one of `statuses`, all of which refuse it if it is not in STORED."""

    label: str
    body: bytes
    statuses: frozenset[int] | set[int] = frozenset(REFUSED)
    headers: dict[str, str] | None = None
    content_type: str | None = None


def hostile(wire: Format) -> Iterator[Hostile]:
    yield from packed_badly(wire)
    yield from not_text(wire)
    yield from huge(wire)
    yield from impossible_readings(wire)
    if wire.is_json:
        yield from crooked_json(wire)


@cache
def bomb(mebibytes: int) -> bytes:
    return gzip.compress(b" " * mebibytes * MEBIBYTE, 1)


def packed_badly(wire: Format) -> Iterator[Hostile]:
    good = wire.write()
    yield Hostile("gzip bomb", bomb(200), {413}, GZIP)
    yield Hostile("gzip bomb of readings", gzip.compress(good * (11 * MEBIBYTE // len(good)), 1), {413}, GZIP)
    yield Hostile("gzip cut off", gzip.compress(good)[:-9], {400}, GZIP)
    yield Hostile("gzip without its checksum", gzip.compress(good)[:-1], {400}, GZIP)
    yield Hostile("gzip with a wrong checksum", gzip.compress(good)[:-8] + bytes(8), {400}, GZIP)
    yield Hostile("no gzip", good, {400}, GZIP)
    yield Hostile("gzip of nothing", gzip.compress(b""), {400}, GZIP)
    yield Hostile("deflate", zlib.compress(good), {415}, {"Content-Encoding": "deflate"})
    yield Hostile("brotli", good, {415}, {"Content-Encoding": "br"})
    yield Hostile("packed and not told", gzip.compress(good))
    yield Hostile("another type", good, {415}, content_type="application/xml")
    yield Hostile("form", good, {415}, content_type="multipart/form-data; boundary=x")


def not_text(wire: Format) -> Iterator[Hostile]:
    good = wire.write()
    yield Hostile("nothing", b"", {400})
    yield Hostile("blanks", b" \r\n\t ", {400})
    yield Hostile("byte order mark", b"\xef\xbb\xbf" + good, {*STORED, 400})
    yield Hostile("byte order mark alone", b"\xef\xbb\xbf", {400})
    yield Hostile("UTF-16", good.decode().encode("utf-16"))
    yield Hostile("UTF-32", good.decode().encode("utf-32"))
    yield Hostile("NULs", bytes(1000))
    yield Hostile("random bytes", bytes(range(256)) * 40)
    yield Hostile("NUL in a name", wire.write(name=b"vib\0ration"))
    yield Hostile("NUL in a value", wire.write(value=b"4.\x0025"))
    yield Hostile("NUL after the end", good + b"\0", {*REFUSED, 207})
    yield Hostile("invalid UTF-8", wire.write(name=b"vibration\xff"))
    yield Hostile("overlong UTF-8", wire.write(name=b"vibration\xc0\x80"))
    yield Hostile("surrogate", wire.write(name=b"vibration\xed\xa0\x80"))


def huge(wire: Format) -> Iterator[Hostile]:
    yield Hostile("a byte too much", wire.write().ljust(MAX_BODY_BYTES + 1), {413})
    yield Hostile("a name of 300 characters", wire.write(name=b"x" * 300))
    yield Hostile("a name of 9 MiB", wire.write(name=b"x" * 9 * MEBIBYTE))
    yield Hostile("a value of 9 MiB", wire.write(value=b"9" * 9 * MEBIBYTE))
    yield Hostile("a time of 9 MiB", wire.write(time=b"9" * 9 * MEBIBYTE))
    for unit in (b",", b"\n", b"=", b'"', b"\\", b"[", b"{", b"[],", b"{},", b"0,", b"a=1,", b"1\n", b"x\r"):
        yield Hostile(f"9 MiB of {unit!r}", unit * (9 * MEBIBYTE // len(unit)))
    yield Hostile("9 MiB of commas after the beginning", wire.write() + b"," * 9 * MEBIBYTE, {*REFUSED, 207})


def impossible_readings(wire: Format) -> Iterator[Hostile]:
    for digits in (40, 400, 5000):
        yield Hostile(
            f"a value of {digits} digits",
            wire.write(value=b"9" * digits),
            REFUSED | ({200, 204} if digits == 40 else set()),
        )
        yield Hostile(f"a time of {digits} digits", wire.write(time=b"9" * digits))
    for value in (
        b"1e400",
        b"-1e400",
        b"1e101",
        b"NaN",
        b"nan",
        b"Infinity",
        b"-inf",
        b"1,5",
        b"0x10",
        b"1_000",
        b"--1",
    ):
        yield Hostile(f"the value {value!r}", wire.write(value=value))
    yield Hostile("a value of text", wire.write(value=b'"high"'))
    for year in (0, 1, 1950, 2200, 9999):
        yield Hostile(f"the year {year}", wire.write(time=wire.year(year)))
    yield Hostile("a time of text", wire.write(time=b'"yesterday"'))
    yield Hostile("another sensor", wire.write(name=b"x' OR 1=1; --"))


def crooked_json(wire: Format) -> Iterator[Hostile]:
    good = wire.write()
    yield Hostile("the last of two values", wire.write(value=b"1, %b: 4.25" % wire.value_label), {200})
    yield Hostile("cut off", good[:-1], {400})
    yield Hostile("more after the end", good + b"]")
    yield Hostile("lone surrogate", wire.write(name=b"vibration\\ud800"))
    yield Hostile("escaped NUL", wire.write(name=b"vibration\\u0000"))
    yield Hostile("line feed in a name", wire.write(name=b"vibra\ntion"))
    yield Hostile("a comment", b"/* */" + good, {400})
    for depth in (500, 980, 1000, 1020, 100_000):
        yield Hostile(f"lists {depth} deep", wire.write(value=b"[" * depth + b"]" * depth))
        yield Hostile(f"objects {depth} deep", wire.write(value=b'{"a":' * depth + b"1" + b"}" * depth))
        yield Hostile(f"lists {depth} deep and open", b"[" * depth)


@pytest.fixture
def secret(organization, settings) -> str:
    settings.INGEST_REQUESTS_PER_S = settings.INGEST_READINGS_PER_S = 1_000_000
    plant = make_plant(organization)
    make_sensor(plant.machine, "pump-7/temperature")
    return issue_api_key(organization=organization, name="gateway", scopes=[Scope.INGEST])[1]


@pytest.fixture
def post(client, secret):
    def send(wire: Format, body: bytes, *, content_type: str | None = None, **more):
        headers = {"Authorization": f"Bearer {secret}"} | more.pop("headers", {})
        more |= {"CONTENT_TYPE": content_type or wire.content_type}  # the client sets none with an empty body
        with clock.frozen(NOW):
            return client.generic("POST", wire.url, body, headers=headers, **more)

    return send


@pytest.mark.django_db
@every_format
def test_what_is_hostile_is_refused_and_nothing_is_stored_that_should_not_be(post, wire):
    assert post(wire, wire.write()).status_code in STORED
    assert Reading.objects.get().value == 4.25
    wrong = {}
    for case in hostile(wire):
        Reading.objects.all().delete()
        response = post(wire, case.body, content_type=case.content_type, headers=case.headers or {})
        values = list(Reading.objects.values_list("value", flat=True))
        may_store = bool({200, 204, 207} & case.statuses)
        if response.status_code not in case.statuses or (values and not may_store):
            wrong[case.label] = (response.status_code, values, response.content[:300])
    assert wrong == {}


@contextmanager
def memory_within(limit: int) -> Iterator[None]:
    """What is allocated inside the block stays within `limit` bytes at any moment."""
    tracemalloc.start()
    try:
        yield
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak <= limit, f"{peak / MEBIBYTE:.0f} MiB"


class Endless(io.RawIOBase):
    """A beginning, then one byte again and again up to `size` bytes, then an end; counts what was read of it."""

    def __init__(self, size: int, *, begin: bytes = b"", byte: bytes = b"x", end: bytes = b"") -> None:
        self.size, self.begin, self.byte, self.end, self.was_read = size, begin, byte, end, 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer) -> int:
        first, last = self.was_read, min(self.was_read + len(buffer), self.size)
        chunk = bytearray(self.byte * (last - first))
        for text, place in ((self.begin, 0), (self.end, self.size - len(self.end))):
            left, right = max(first, place), min(last, place + len(text))
            if left < right:
                chunk[left - first : right - first] = text[left - place : right - place]
        buffer[: len(chunk)] = chunk
        self.was_read = last
        return len(chunk)


@pytest.mark.django_db
@every_format
@pytest.mark.parametrize("is_in_chunks", [False, True])
def test_a_line_of_100_megabytes_is_refused_before_it_is_read(post, wire, is_in_chunks):
    stream = Endless(100_000_000, begin=wire.template)
    length = (
        {"HTTP_TRANSFER_ENCODING": "chunked", "CONTENT_LENGTH": ""}
        if is_in_chunks
        else {"CONTENT_LENGTH": stream.size}
    )

    with memory_within(4 * MAX_BODY_BYTES):
        response = post(
            wire, b"", **length, **{"wsgi.input": io.BufferedReader(stream), "wsgi.input_terminated": True}
        )

    assert response.status_code == 413
    assert stream.was_read <= MAX_BODY_BYTES + MEBIBYTE
    assert not Reading.objects.exists()


@pytest.mark.django_db
@pytest.mark.parametrize("wire", [FORMATS[0], FORMATS[-1]], ids=lambda wire: wire.name.replace(" ", "-"))
def test_a_gzip_bomb_takes_no_more_memory_than_a_body_may(post, wire):
    packed = bomb(200)
    with memory_within(4 * MAX_BODY_BYTES):
        response = post(wire, packed, headers=GZIP)

    assert response.status_code == 413


@pytest.mark.django_db
@every_format
def test_a_body_that_broke_off_is_not_stored_in_part(post, wire):
    """The rest of a number may be missing, and what is left of it be a number still."""
    good = wire.write()
    for missing in (1, 2, 4, len(good)):
        cut = good[:-missing]
        response = post(wire, b"", CONTENT_LENGTH=len(good), **{"wsgi.input": io.BytesIO(cut)})
        assert response.status_code == 400, cut
    assert not Reading.objects.exists()


@pytest.mark.parametrize(
    ("read_blocks", "header", "line"),
    [
        (csv.read_blocks, b"sensor,ts,value\n", b"pump-7/vibration,2026-11-22T10:00:00Z,4.25\n"),
        (wide_csv.read_blocks, b"ts,pump-7/vibration\n", b"2026-11-22T10:00:00Z,4.25\n"),
    ],
)
@pytest.mark.parametrize("byte", [b"x", b",", b"\0"])
def test_a_file_with_a_line_of_100_megabytes_is_read_in_little_memory(read_blocks, header, line, byte):
    stream = io.BufferedReader(Endless(100_000_000, begin=header + line, byte=byte, end=b"\n" + line))

    with memory_within(100 * MEBIBYTE):
        received = values = refused = 0
        for block in read_blocks(stream):
            received, values, refused = (
                received + block.received,
                values + len(block.values),
                refused + len(block.refusals),
            )

    assert (received, values, refused) == (3, 2, 1)


TOKENS = st.sampled_from(
    [
        *(
            b"0",
            b"-",
            b".",
            b"e",
            b"1e999",
            b"9" * 30,
            b"NaN",
            b"null",
            b"true",
            b"[",
            b"]",
            b"{",
            b"}",
            b",",
            b":",
        ),
        *(b'"', b"\\", b"\\ud800", b"\\u0000", b"\n", b"\r", b"\t", b" ", b"=", b"#", b"i", b"u", b";"),
        *(b"\0", b"\xff", b"\xed\xa0\x80", b"\xef\xbb\xbf", b"\xc2\x85", b"\xe2\x80\xa8", b"\xd9\xa3"),
        *(
            b"ts",
            b"values",
            b"bn",
            b"bt",
            b"bver",
            b"x_",
            b"sensor",
            b"value",
            b"quality",
            b"unit",
            b"readings",
        ),
        *(b"[Cel]", b"2026-02-30T00:00:00Z", b"9999-12-31T23:59:59.999999999Z", b"0000-00-00T00:00:00-23:59"),
    ]
)
edits = st.lists(
    st.tuples(st.floats(0, 1), st.integers(0, 8), TOKENS | st.binary(max_size=4)), min_size=1, max_size=6
)


@every_format
@given(edits=edits, copies=st.integers(1, 40))
def test_whatever_a_good_body_is_bent_to_the_parser_knows_it(wire, edits, copies):
    body = wire.write()
    if not wire.is_json or wire.name == "NDJSON":
        header, _, line = body.rpartition(b"\n") if wire.name == "NDJSON" else body[:-1].rpartition(b"\n")
        body = (header + b"\n" if header else b"") + (line + b"\n") * copies
    for place, cut, inserted in edits:
        begin = round(place * len(body))
        body = body[:begin] + inserted + body[begin + cut :]
    with suppress(MalformedBody, TooManyReadings):
        parsed = wire.parse(body)
        assert len(parsed.index) == len(parsed.ts_us) == len(parsed.values) == len(parsed.key_of_row)
        for refusal in parsed.refusals:
            assert refusal.code
            assert refusal.detail
            assert "\0" not in refusal.raw
            refusal.raw.encode()
