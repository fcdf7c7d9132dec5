"""Who sent something, in words for people."""

from smartmaint.accounts.models import ApiKey


def sender_in_words(api_key: ApiKey | None) -> str:
    """The key's name; files that are imported have none."""
    return api_key.name if api_key else "no API key, such as an import"
