"""Rows to and from PostgreSQL's binary COPY format: whole arrays, without a Python object per reading.

The format is described in PostgreSQL's manual under COPY, "Binary Format": a header, then per row the number of fields
and each field with its length, everything big-endian. A row of readings has no null and so a fixed length.
"""

from io import BytesIO

import numpy as np
import numpy.typing as npt

from sensors.storage.rows import Rows

_HEADER = b"PGCOPY\n\xff\r\n\0" + bytes(8)
_TRAILER = b"\xff\xff"
# timestamptz counts microseconds since 2000-01-01.
_EPOCH_US = 946_684_800_000_000

_FIELDS = {"sensor_id": ">i8", "ts": ">i8", "value": ">f8", "quality": ">i2"}
_ROW = np.dtype(
    [("fields", ">i2")]
    + [column for name, kind in _FIELDS.items() for column in ((f"{name}_length", ">i4"), (name, kind))]
)


def encode(rows: Rows) -> BytesIO:
    """A stream for COPY (sensor_id, ts, value, quality) FROM STDIN (FORMAT binary)."""
    table: npt.NDArray = np.empty(len(rows), dtype=_ROW)
    table["fields"] = len(_FIELDS)
    for name, kind in _FIELDS.items():
        table[f"{name}_length"] = np.dtype(kind).itemsize
    table["sensor_id"], table["ts"] = rows.sensor_ids, rows.ts_us - _EPOCH_US
    table["value"], table["quality"] = rows.values, rows.quality
    return BytesIO(b"".join((_HEADER, table.tobytes(), _TRAILER)))


def decode(stream: BytesIO) -> Rows:
    """The rows of COPY (SELECT sensor_id, ts, value, quality ...) TO STDOUT (FORMAT binary)."""
    body = memoryview(stream.getbuffer())[len(_HEADER) : -len(_TRAILER)]
    table = np.frombuffer(body, dtype=_ROW)
    return Rows(
        sensor_ids=table["sensor_id"].astype(np.int64),
        ts_us=table["ts"].astype(np.int64) + _EPOCH_US,
        values=table["value"].astype(np.float64),
        quality=table["quality"].astype(np.int8),
    )
