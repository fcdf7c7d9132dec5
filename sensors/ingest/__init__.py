"""The way of a reading from a request's bytes to arrays that can be stored: formats, units and checks."""
