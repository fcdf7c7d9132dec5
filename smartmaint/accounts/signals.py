"""What accounts tells the apps to its right."""

from django.dispatch import Signal

organization_created = Signal()
"""organization: the new one. Sent inside its transaction, so that apps seed its reference rows."""

api_key_succeeded = Signal()
"""old, new: ApiKey. Sent inside the transaction that makes the new one, so that apps copy what the old one may do."""
