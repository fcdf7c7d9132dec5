"""One module per wire format; each turns a request body into the same `ParsedReadings`.

A format that is posted under its content type has a `NAME`, its `MEDIA_TYPES` and `parse(body, *, zone)`.
"""
