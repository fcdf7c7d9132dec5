"""What equipment tells the apps to its right. Sent inside the transaction that made it true."""

from django.dispatch import Signal

failure_recorded = Signal()
"""It became known that a machine had failed: failure (Failure). Not sent for one that was known already."""

failure_withdrawn = Signal()
"""A machine turned out not to have failed: failure (Failure), which has left the table and has no key any more."""
