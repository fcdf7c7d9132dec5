"""PostgreSQL's arrays as one literal each: the driver would write a list as an expression of every single element."""

from collections.abc import Iterable


def number_array(numbers: Iterable[int] | Iterable[float]) -> str:
    """The literal of integers, or of floats to their last digit."""
    return "{" + ",".join(map(repr, numbers)) + "}"


def text_array(texts: Iterable[str]) -> str:
    escaped = (text.replace("\\", r"\\").replace('"', r"\"") for text in texts)
    return "{" + ",".join(f'"{text}"' for text in escaped) + "}"
