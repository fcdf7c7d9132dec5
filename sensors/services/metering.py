"""Limits per key: requests and readings a second, counted before the readings are stored.

The generic cell rate algorithm: what is left of a key's limit is one moment, until which its past requests are paid
off. A request costs 1 / (requests a second) and its readings / (readings a second), in seconds. It passes while the
debt with it stays within the burst; one that is larger than the whole burst passes when nothing is owed, and then owes
the excess, so that the rate holds for it too. A request that is refused costs nothing.

The arithmetic is the function `sensors_charge_key` in the database (migration 0003): the decision is atomic under the
lock of the key's own row, the clock is one for all web processes, and PostgreSQL plans it once a connection instead
of once a request, which takes two thirds off its time.
"""

import time
from dataclasses import dataclass
from math import ceil, floor

import structlog
from django.conf import settings
from django.db import Error, connection

from sensors.models import KeyAllowance
from smartmaint import clock
from smartmaint.accounts.models import ApiKey

# A process answers for a key that has used up its limit without asking the database for so long; so a limit that is
# raised holds after a second.
REMEMBERED_S = 1.0

_CHARGE = "SELECT * FROM sensors_charge_key(%s, %s, %s, %s, %s)"
_READ = """
    SELECT allowance.requests_per_s, allowance.readings_per_s,
           requests_paid_at - date_part('epoch', statement_timestamp()),
           readings_paid_at - date_part('epoch', statement_timestamp())
    FROM (VALUES (%s::bigint)) AS this (api_key_id)
    LEFT JOIN sensors_keyallowance allowance USING (api_key_id)
    LEFT JOIN sensors_keymeter USING (api_key_id)
"""
# Nobody waits for the disk to know of a refusal: a crash of the server loses the last moments of this count.
_COUNT_REFUSED = """
    INSERT INTO sensors_refusedrequests (organization_id, api_key_id, hour, code, count)
    SELECT %s, %s, %s, %s, %s FROM set_config('synchronous_commit', 'off', true)
    ON CONFLICT (api_key_id, hour, code) DO UPDATE SET count = sensors_refusedrequests.count + excluded.count
"""

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Quota:
    """One of a key's two limits, and how much of it is used: `per_s` units a second, and `debt_s` seconds owed."""

    name: str
    per_s: float
    burst_s: float
    debt_s: float

    @property
    def size(self) -> int:
        """Units that pass at once when nothing is owed; a whole one, however slow the rate."""
        return max(1, floor(self.per_s * self.burst_s))

    @property
    def window_s(self) -> int:
        """Seconds after which all of that is there again."""
        return max(1, ceil(max(self.burst_s, 1 / self.per_s)))

    @property
    def available(self) -> int:
        """Units that pass now."""
        if self.debt_s <= 0:
            return self.size
        return max(0, floor(self.per_s * (self.burst_s - self.debt_s)))

    @property
    def used(self) -> float:
        """The share of the burst that is owed, from 0 to 1."""
        return min(1.0, max(0.0, self.debt_s) * self.per_s / self.size)

    def wait_s(self, units: int) -> float:
        """Seconds until so many units pass; 0 when they pass now."""
        return max(0.0, self.debt_s - max(self.burst_s - units / self.per_s, 0.0)) if units else 0.0


@dataclass(frozen=True)
class Metered:
    """A request that passed, and what is left for the next ones. Without limits `quotas` is empty."""

    quotas: tuple[Quota, ...]

    @property
    def headers(self) -> dict[str, str]:
        """RateLimit-Policy and RateLimit, as the draft of the HTTPAPI working group has them (its version 11)."""
        return _headers(self.quotas)


class OverLimit(Exception):
    """A request beyond the key's limit: nothing was counted, and it may come again after `retry_after_s` seconds."""

    code = "rate_limited"

    def __init__(self, quotas: tuple[Quota, ...], *, readings: int) -> None:
        waits = {quota: quota.wait_s(_units(quota, readings)) for quota in quotas}
        self.quotas, self.readings = quotas, readings
        self.retry_after_s = max(1, ceil(max(waits.values(), default=0)))
        self.violated = [quota.name for quota, wait_s in waits.items() if wait_s]
        limits = " and ".join(f"{quota.per_s:,g} {quota.name}" for quota in quotas if waits[quota])
        super().__init__(
            f"This key may send {limits or 'less'} a second. Try again in {self.retry_after_s} s."
        )

    @property
    def headers(self) -> dict[str, str]:
        """Retry-After in whole seconds, and those of `Metered`."""
        return {
            "Retry-After": str(self.retry_after_s),
            **_headers(self.quotas, longest_s=self.retry_after_s),
        }


_exhausted: dict[int, tuple[float, OverLimit]] = {}
"""By key: until when, on the monotonic clock, not even one reading passes, and the refusal that told so."""


def charge(api_key: ApiKey, *, readings: int) -> Metered:
    """Count a request with so many readings; raises OverLimit, and then it costs nothing.

    To be called before the transaction that stores the readings, never inside one: the key's row would stay locked
    until that ends, and all other requests of the key would wait for it.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            _CHARGE,
            [
                api_key.pk,
                readings,
                settings.INGEST_REQUESTS_PER_S or None,
                settings.INGEST_READINGS_PER_S or None,
                settings.INGEST_BURST_S,
            ],
        )
        is_allowed, *state = cursor.fetchone()
    quotas = _quotas(*state)
    if is_allowed:
        return Metered(quotas)
    refusal = OverLimit(quotas, readings=readings)
    wait_s = max((quota.wait_s(1) for quota in quotas), default=0.0)
    if wait_s:
        _exhausted[api_key.pk] = time.monotonic() + min(wait_s, REMEMBERED_S), refusal
    raise refusal


def require_room(api_key: ApiKey) -> None:
    """Raise OverLimit when this process knows that nothing of this key can pass now; asks nobody.

    For a view to call before it reads the body: who floods us past the limit costs no parsing and no query.
    """
    if api_key.pk not in _exhausted:
        return
    until, refusal = _exhausted[api_key.pk]
    if time.monotonic() < until:
        raise OverLimit(refusal.quotas, readings=refusal.readings)
    _exhausted.pop(api_key.pk, None)


def read_quotas(api_key: ApiKey) -> tuple[Quota, ...]:
    """A key's limits, and how much of them is used at this moment."""
    with connection.cursor() as cursor:
        cursor.execute(_READ, [api_key.pk])
        requests_per_s, readings_per_s, requests_debt_s, readings_debt_s = cursor.fetchone()
    return _quotas(
        requests_per_s or settings.INGEST_REQUESTS_PER_S or None,
        readings_per_s or settings.INGEST_READINGS_PER_S or None,
        requests_debt_s,
        readings_debt_s,
    )


def count_refused_request(api_key: ApiKey, code: str, *, times: int = 1) -> None:
    """Count a request that was refused as a whole. Its answer is on its way whatever happens here."""
    hour = clock.now().replace(minute=0, second=0, microsecond=0)
    try:
        with connection.cursor() as cursor:
            cursor.execute(_COUNT_REFUSED, [api_key.organization_id, api_key.pk, hour, code, times])
    except Error as error:
        log.warning("refused_request_not_counted", code=code, error=str(error))


def copy_allowance(*, old: ApiKey, new: ApiKey) -> None:
    """Let a key's successor send as much as the key itself; what is there stays."""
    for allowance in KeyAllowance.objects.filter(api_key=old):
        KeyAllowance.objects.get_or_create(
            api_key=new,
            defaults={
                "organization_id": allowance.organization_id,
                "requests_per_s": allowance.requests_per_s,
                "readings_per_s": allowance.readings_per_s,
            },
        )


def _quotas(
    requests_per_s: float | None,
    readings_per_s: float | None,
    requests_debt_s: float | None,
    readings_debt_s: float | None,
) -> tuple[Quota, ...]:
    """Those limits that there are, with what is owed; a key that never sent anything owes nothing."""
    limits = (
        ("requests", requests_per_s, requests_debt_s),
        ("readings", readings_per_s, readings_debt_s),
    )
    return tuple(
        Quota(name, per_s, settings.INGEST_BURST_S, debt_s or 0.0) for name, per_s, debt_s in limits if per_s
    )


def _units(quota: Quota, readings: int) -> int:
    return readings if quota.name == "readings" else 1


def _headers(quotas: tuple[Quota, ...], *, longest_s: int | None = None) -> dict[str, str]:
    """The effective window `t` ends when all is paid off, or with `longest_s`: Retry-After must not end before it."""
    if not quotas:
        return {}
    windows = [max(0, ceil(quota.debt_s)) for quota in quotas]
    if longest_s is not None:
        windows = [min(window, longest_s) for window in windows]
    return {
        "RateLimit-Policy": ", ".join(
            f'"{quota.name}";q={quota.size};qu="{quota.name}";w={quota.window_s}' for quota in quotas
        ),
        "RateLimit": ", ".join(
            f'"{quota.name}";r={quota.available};t={window}'
            for quota, window in zip(quotas, windows, strict=True)
        ),
    }
