"""What accounts tells the apps to its right."""

from django.dispatch import Signal

organization_created = Signal()
"""organization: the new one. Sent inside its transaction, so that apps seed its reference rows."""
