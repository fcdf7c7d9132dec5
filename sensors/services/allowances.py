"""What single keys are allowed to send, and who may allow how much."""

from django.conf import settings
from django.core.exceptions import ValidationError

from sensors.models import KeyAllowance
from smartmaint.accounts.models import User

USUAL = {"requests_per_s": "INGEST_REQUESTS_PER_S", "readings_per_s": "INGEST_READINGS_PER_S"}


def usual_rate(name: str) -> float:
    """What a key may send that has no rate of its own, `name` being a field of KeyAllowance; 0 is any number."""
    return getattr(settings, USUAL[name])


def require_allowed_rates(allowance: KeyAllowance, *, by: User) -> None:
    """Raise ValidationError where an organisation's own admin gives a key more than is usual, and than it has.

    The installation is shared: more than the usual is the operator's to give. Where there is no usual limit, there is
    none to pass.
    """
    if by.is_superuser:
        return
    known = KeyAllowance.objects.filter(pk=allowance.pk).first()
    errors = {}
    for name in USUAL:
        rate, usual = getattr(allowance, name), usual_rate(name)
        most = max(usual, (known and getattr(known, name)) or 0)
        if rate is not None and usual and rate > most:
            errors[name] = f"At most {most:,g}: more is the operator's to give."
    if errors:
        raise ValidationError(errors)
