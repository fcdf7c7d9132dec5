"""Which rows of a linked model a request may see, for form fields and filters alike."""

from django.db.models import Model, Q
from django.http import HttpRequest

from smartmaint.accounts.models import Membership, Organization, User
from smartmaint.accounts.scoping import OrganizationOwned


def own_rows(model: type[Model], request: HttpRequest) -> Q:
    """The rows of `model` inside the request's organisation; none when it has none.

    Rows of a model that belongs to no organisation are everybody's.
    """
    organization = request.organization
    if issubclass(model, OrganizationOwned):
        return Q(organization=organization) if organization else Q(pk__in=[])
    if issubclass(model, Organization):
        return Q(pk=organization.pk) if organization else Q(pk__in=[])
    if issubclass(model, User):
        # Former members too: a row that names one must stay editable.
        return Q(pk__in=Membership.objects.for_organization(organization).values("user"))
    return Q()


def sees_all(request: HttpRequest) -> bool:
    """Whether this is the operator, looking at all organisations at once."""
    return request.user.is_superuser and request.organization is None
