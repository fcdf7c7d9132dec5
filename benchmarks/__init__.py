"""Measurements of the whole product. Slow, and of no use to correctness: the tests have that."""
