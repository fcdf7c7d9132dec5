"""How programs and people come through the API's door: keys with scopes, or a session with a role."""

from typing import Any

from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed, PermissionDenied
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from smartmaint.accounts.access import allows, organization_of
from smartmaint.accounts.models import ApiKey, Scope
from smartmaint.accounts.services import DisabledApiKeyError, UnknownApiKeyError, authenticate_api_key

SCHEMES = {"bearer", "token", "api-key"}
CHALLENGE = 'Bearer realm="api"'


def secret_in(request: HttpRequest | Request) -> str | None:
    """The secret a request carries in `X-API-Key` or `Authorization: Bearer|Token|Api-Key ...`, or None."""
    if secret := request.headers.get("X-API-Key"):
        return secret.strip()
    scheme, _, secret = request.headers.get("Authorization", "").strip().partition(" ")
    return secret.strip() if scheme.lower() in SCHEMES else None


def authenticate_request(request: HttpRequest) -> ApiKey | None:
    """Check the key a request carries and place the request in its organisation; None when it carries none.

    For Django's own views, and what DRF's authentication below does. Raises AuthenticationFailed (401) for
    an unknown or expired key and PermissionDenied (403) for a disabled one; `problems.problem_of` turns
    both into answers.
    """
    secret = secret_in(request)
    if secret is None:
        return None
    try:
        api_key = authenticate_api_key(secret)
    except UnknownApiKeyError as refusal:
        failure = AuthenticationFailed(str(refusal), code=refusal.code)
        failure.auth_header = CHALLENGE
        raise failure from refusal
    except DisabledApiKeyError as refusal:
        raise PermissionDenied(str(refusal), code=refusal.code) from refusal
    request.api_key = api_key
    request.organization, request.membership, request.memberships = api_key.organization, None, []
    return api_key


def require_scope(api_key: ApiKey, scope: Scope) -> None:
    """Raise PermissionDenied (403) unless the key was given that scope."""
    if scope not in api_key.scopes:
        raise PermissionDenied(f"This key lacks the scope {scope!s}.", code="missing_scope")


class ApiKeyAuthentication(BaseAuthentication):
    """A key in a header: `request.auth` is the ApiKey and `request.user` nobody."""

    def authenticate(self, request: Request) -> tuple[AnonymousUser, ApiKey] | None:
        api_key = authenticate_request(request._request)
        return None if api_key is None else (AnonymousUser(), api_key)

    def authenticate_header(self, request: Request) -> str:
        return CHALLENGE


class IsMemberOrKey(BasePermission):
    """Opens a view to keys that have its `required_scope` and to members who have its `required_role`.

    What a view does not declare stays closed: without `required_scope` no key gets in, without
    `required_role` no session does.
    """

    def has_permission(self, request: Request, view: Any) -> bool:
        if isinstance(request.auth, ApiKey):
            scope = getattr(view, "required_scope", None)
            if scope is None:
                raise PermissionDenied(
                    "This is for people: log in instead of using a key.", code="session_only"
                )
            require_scope(request.auth, scope)
            return True
        if not request.user.is_authenticated:
            return False
        role = getattr(view, "required_role", None)
        if role is None:
            raise PermissionDenied("This is for programs: use a key.", code="key_only")
        organization_of(request)
        if not allows(request, role):
            raise PermissionDenied(f"This needs the role {role.label.lower()}.", code="role_too_small")
        return True
