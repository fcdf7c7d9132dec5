"""One module per wire format; each turns a request body into the same `ParsedReadings`."""
