"""The verbs of accounts: organisations, their members, and their integrators' keys."""

import hashlib
import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta

from axes.utils import reset as unlock_log_in
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Q
from django.utils.text import slugify

from smartmaint import clock
from smartmaint.accounts.finding_keys import find_api_key
from smartmaint.accounts.models import ApiKey, Membership, Organization, Role, User
from smartmaint.accounts.signals import api_key_succeeded, organization_created

LAST_USED_PRECISION = timedelta(minutes=1)


class ApiKeyError(Exception):
    """A key that opens nothing; `code` is stable and for programs, the text is for people."""

    code = "key_refused"


class UnknownApiKeyError(ApiKeyError):
    """No such key, or one that is over: ask for another."""

    code = "unknown_key"


class ExpiredApiKeyError(UnknownApiKeyError):
    code = "expired_key"


class DisabledApiKeyError(ApiKeyError):
    """A genuine key that somebody has switched off, or whose organisation is."""

    code = "disabled_key"


def create_organization(*, name: str, time_zone: str, slug: str | None = None) -> Organization:
    """Make an organisation with its reference rows; raises ValidationError."""
    organization = Organization(name=name, time_zone=time_zone, slug=slug or _free_slug(name))
    organization.full_clean()
    with transaction.atomic():
        organization.save()
        organization_created.send(sender=Organization, organization=organization)
    return organization


def _free_slug(name: str) -> str:
    stem = slugify(name)[:40] or "organisation"
    taken = set(Organization.objects.filter(slug__startswith=stem).values_list("slug", flat=True))
    candidates = (stem if number == 1 else f"{stem}-{number}" for number in range(1, len(taken) + 2))
    return next(slug for slug in candidates if slug not in taken)


def add_member(
    *,
    organization: Organization,
    role: Role,
    user: User | None = None,
    username: str = "",
    email: str = "",
    first_name: str = "",
    last_name: str = "",
    password: str | None = None,
) -> Membership:
    """Give a person a place in an organisation: `user` if one is given, else a new one of that username.

    Only the operator's pages pass `user`: an organisation's admin who could link people by name would learn
    who exists elsewhere. Without a password the new person cannot log in yet. Raises ValidationError.
    """
    with transaction.atomic():
        if user is None:
            person = User(username=username, email=email, first_name=first_name, last_name=last_name)
            if password is not None:
                validate_password(password, person)
            person.set_password(password)
            person.full_clean()
            person.save()
        else:
            # The lock of reset_password: nobody joins a second organisation while the first one resets.
            person = User.objects.select_for_update(no_key=True).get(pk=user.pk)
        membership = Membership(organization=organization, user=person, role=role)
        membership.full_clean()
        membership.save()
    return membership


def set_role(*, membership: Membership, role: Role) -> Membership:
    """Change what a member may do, from the next request on; raises ValidationError for the last admin."""
    return _change_member(membership, role=Role(role), is_active=membership.is_active)


def deactivate_member(*, membership: Membership) -> Membership:
    """Shut a member out, from the next request on; raises ValidationError for the last admin."""
    return _change_member(membership, role=Role(membership.role), is_active=False)


def reactivate_member(*, membership: Membership) -> Membership:
    return _change_member(membership, role=Role(membership.role), is_active=True)


def _change_member(membership: Membership, *, role: Role, is_active: bool) -> Membership:
    with transaction.atomic():
        # One at a time per organisation, or two admins could demote each other at once.
        Organization.objects.select_for_update(no_key=True).get(pk=membership.organization_id)
        if role != Role.ADMIN or not is_active:
            require_another_admin(membership)
        membership.role, membership.is_active = role, is_active
        membership.save(update_fields=["role", "is_active"])
    return membership


def require_another_admin(membership: Membership) -> None:
    """Raise ValidationError when this member is the organisation's only active admin."""
    admins = Membership.objects.for_organization(membership.organization).active().filter(role=Role.ADMIN)
    if admins.filter(pk=membership.pk).exists() and not admins.exclude(pk=membership.pk).exists():
        raise ValidationError(
            "An organisation needs an admin: make somebody else admin first.", code="last_admin"
        )


def reset_password(*, membership: Membership, new_password: str) -> None:
    """Set a member's password for them; raises ValidationError when it is not this organisation's to set.

    Whoever sets a password can log in as that person, everywhere that person belongs. So an organisation's
    admin may do it only for people who belong nowhere else (a place that is switched off counts: it can be
    switched on again) and are no operators.
    """
    with transaction.atomic():
        person = User.objects.select_for_update(no_key=True).get(pk=membership.user_id)
        belongs_elsewhere = person.memberships.exclude(organization=membership.organization_id).exists()
        if person.is_superuser or person.is_staff or belongs_elsewhere:
            raise ValidationError(
                "This person's password is not yours to set: they change it themselves, or ask the operator.",
                code="not_yours",
            )
        validate_password(new_password, person)
        person.set_password(new_password)
        person.save(update_fields=["password"])
        # Wrong attempts with the forgotten password may have locked the log-in.
        unlock_log_in(username=person.username)


def issue_api_key(
    *,
    organization: Organization,
    name: str,
    scopes: Sequence[str],
    expires_at: datetime | None = None,
    time_zone: str = "",
    created_by: User | None = None,
) -> tuple[ApiKey, str]:
    """Make a key and return it with its secret, which cannot be read again; raises ValidationError."""
    prefix = secrets.token_hex(5)
    secret = f"sm_{prefix}_{secrets.token_hex(20)}"
    api_key = ApiKey(
        organization=organization,
        name=name,
        prefix=prefix,
        secret_sha256=_digest(secret),
        scopes=list(scopes),
        expires_at=expires_at,
        time_zone=time_zone,
        created_by=created_by,
    )
    api_key.full_clean()
    api_key.save()
    return api_key, secret


def issue_successor(*, api_key: ApiKey, created_by: User | None = None) -> tuple[ApiKey, str]:
    """Make a key that may do what this one may, and leave both usable, so that a gateway can change over."""
    expires_at = None
    if api_key.expires_at is not None:
        expires_at = clock.now() + (api_key.expires_at - api_key.created_at)
    with transaction.atomic():
        successor, secret = issue_api_key(
            organization=api_key.organization,
            name=_successor_name(api_key),
            scopes=api_key.scopes,
            expires_at=expires_at,
            time_zone=api_key.time_zone,
            created_by=created_by,
        )
        api_key_succeeded.send(sender=ApiKey, old=api_key, new=successor)
    return successor, secret


def _successor_name(api_key: ApiKey) -> str:
    stem = api_key.name.rsplit(" #", 1)[0][:90]
    siblings = ApiKey.objects.for_organization(api_key.organization).filter(name__startswith=stem)
    taken = set(siblings.values_list("name", flat=True))
    return next(name for number in range(2, len(taken) + 3) if (name := f"{stem} #{number}") not in taken)


def disable_api_key(*, api_key: ApiKey) -> None:
    api_key.is_active = False
    api_key.save(update_fields=["is_active"])


def authenticate_api_key(secret: str) -> ApiKey:
    """Return the key of a secret; raises UnknownApiKeyError, ExpiredApiKeyError or DisabledApiKeyError."""
    api_key = find_api_key(_digest(secret))
    if api_key is None:
        raise UnknownApiKeyError("No such key.")
    if not (api_key.is_active and api_key.organization.is_active):
        raise DisabledApiKeyError("This key has been disabled.")
    now = clock.now()
    if api_key.expires_at is not None and api_key.expires_at <= now:
        raise ExpiredApiKeyError("This key has expired.")
    _mark_used(api_key, now)
    return api_key


def _mark_used(api_key: ApiKey, now: datetime) -> None:
    """Write when the key was last used, at most once a minute: a busy key must not wait for its own row."""
    stale_at = now - LAST_USED_PRECISION
    if api_key.last_used_at is None or api_key.last_used_at <= stale_at:
        stale = Q(last_used_at__isnull=True) | Q(last_used_at__lte=stale_at)
        ApiKey.objects.filter(stale, pk=api_key.pk).update(last_used_at=now)


def _digest(secret: str) -> bytes:
    """A plain SHA-256 is enough: the secret is 160 random bits, nothing that could be guessed."""
    return hashlib.sha256(secret.encode()).digest()
