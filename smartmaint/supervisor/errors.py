"""What the supervisor refuses."""


class StartRefusedError(Exception):
    """The product cannot start; the message is one line that says why and what to do."""
