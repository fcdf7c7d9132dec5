"""Writes Sparkplug B payloads byte by byte, by the specification's field numbers; shares nothing with the reader."""

import struct

VARINT, EIGHT_BYTES, LENGTH, FOUR_BYTES = 0, 1, 2, 5


def varint(number: int) -> bytes:
    written = bytearray()
    while number > 0x7F:
        written.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*written, number])


def whole(number: int, value: int) -> bytes:
    return varint(number << 3 | VARINT) + varint(value)


def block(number: int, content: bytes | str) -> bytes:
    content = content.encode() if isinstance(content, str) else content
    return varint(number << 3 | LENGTH) + varint(len(content)) + content


def quality(code: int) -> bytes:
    """The field of a metric's properties."""
    return block(9, block(1, "Quality") + block(2, whole(1, 3) + whole(3, code)))


def metric(
    name: str | None = None,
    *,
    alias: int | None = None,
    ts_ms: int | None = None,
    datatype: int | None = None,
    historical: bool = False,
    null: bool = False,
    int_value: int | None = None,
    long_value: int | None = None,
    float_value: float | None = None,
    double_value: float | None = None,
    boolean_value: bool | None = None,
    string_value: str | None = None,
    extra: bytes = b"",
) -> bytes:
    """The content of one metric."""
    fields = [
        block(1, name) if name is not None else b"",
        *(
            whole(number, value)
            for number, value in ((2, alias), (3, ts_ms), (4, datatype))
            if value is not None
        ),
        whole(5, 1) if historical else b"",
        whole(7, 1) if null else b"",
        extra,
        whole(10, int_value) if int_value is not None else b"",
        whole(11, long_value) if long_value is not None else b"",
        varint(12 << 3 | FOUR_BYTES) + struct.pack("<f", float_value) if float_value is not None else b"",
        varint(13 << 3 | EIGHT_BYTES) + struct.pack("<d", double_value) if double_value is not None else b"",
        whole(14, int(boolean_value)) if boolean_value is not None else b"",
        block(15, string_value) if string_value is not None else b"",
    ]
    return b"".join(fields)


def payload(*metrics: bytes, ts_ms: int | None = None, seq: int | None = None) -> bytes:
    head = whole(1, ts_ms) if ts_ms is not None else b""
    tail = whole(3, seq) if seq is not None else b""
    return head + b"".join(block(2, content) for content in metrics) + tail
