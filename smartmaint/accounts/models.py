"""Organisations, the people in them, and the keys of their integrators."""

import zoneinfo

from django.contrib.auth.models import AbstractUser
from django.contrib.postgres.fields import ArrayField
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import Q

from smartmaint import clock
from smartmaint.accounts.scoping import OrganizationOwned, ScopedQuerySet, inside_organization


def validate_time_zone(name: str) -> None:
    if name not in zoneinfo.available_timezones():
        raise ValidationError(f"{name!r} is no time zone; write one like Europe/Berlin.")


class User(AbstractUser):
    """A person. A superuser is the operator of the service; all other rights come from memberships."""

    @property
    def display_name(self) -> str:
        return self.get_full_name() or self.username


class Organization(models.Model):
    """A customer of the service. Organisations never see each other's rows."""

    name = models.CharField(max_length=100, unique=True)
    slug = models.SlugField(unique=True)
    time_zone = models.CharField(max_length=50, default="UTC", validators=[validate_time_zone])
    is_active = models.BooleanField(default=True)
    created_at = models.DateTimeField(default=clock.now, editable=False)

    class Meta:
        ordering = ["name"]
        verbose_name = "organisation"

    def __str__(self) -> str:
        return self.name

    @property
    def zone(self) -> zoneinfo.ZoneInfo:
        return zoneinfo.ZoneInfo(self.time_zone)


class Role(models.TextChoices):
    """What a member may do; each role may do what the ones before it may."""

    VIEWER = "viewer"
    TECHNICIAN = "technician"
    MANAGER = "manager"
    ADMIN = "admin"

    def includes(self, other: "Role") -> bool:
        ranks = list(Role)
        return ranks.index(self) >= ranks.index(other)


class MembershipQuerySet(ScopedQuerySet):
    def active(self) -> "MembershipQuerySet":
        return self.filter(is_active=True, user__is_active=True, organization__is_active=True)


class Membership(OrganizationOwned):
    """A person's place in an organisation."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="memberships")
    role = models.CharField(max_length=10, choices=Role, default=Role.VIEWER)
    is_active = models.BooleanField(default=True)

    objects = MembershipQuerySet.as_manager()

    class Meta:
        ordering = ["organization", "user"]
        constraints = [
            models.UniqueConstraint(fields=["user", "organization"], name="membership_once"),
            inside_organization(),
            models.CheckConstraint(condition=Q(role__in=Role.values), name="membership_role"),
        ]

    def __str__(self) -> str:
        return f"{self.user} in {self.organization}"

    def allows(self, role: Role) -> bool:
        return Role(self.role).includes(role)


class Scope(models.TextChoices):
    INGEST = "ingest", "post readings"
    READ = "read", "read"


class ApiKey(OrganizationOwned):
    """An integrator's key. Only a hash of its secret is kept; the secret is shown once."""

    name = models.CharField(max_length=100, help_text="Whose key, or which gateway's.")
    prefix = models.CharField(max_length=12, unique=True, editable=False)
    secret_sha256 = models.BinaryField(max_length=32, unique=True, editable=False)
    scopes = ArrayField(models.CharField(max_length=10, choices=Scope), default=list)
    time_zone = models.CharField(
        max_length=50,
        blank=True,
        validators=[validate_time_zone],
        help_text="Zone of timestamps that come without one; empty: such timestamps are refused.",
    )
    is_active = models.BooleanField(default=True)
    expires_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True, editable=False)
    created_at = models.DateTimeField(default=clock.now, editable=False)
    created_by = models.ForeignKey(
        User, null=True, blank=True, editable=False, on_delete=models.SET_NULL, related_name="+"
    )

    class Meta:
        ordering = ["name"]
        verbose_name = "API key"
        constraints = [
            models.UniqueConstraint(fields=["organization", "name"], name="apikey_name_once"),
            inside_organization(),
            models.CheckConstraint(condition=Q(scopes__contained_by=Scope.values), name="apikey_scopes"),
        ]

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix}…)"
