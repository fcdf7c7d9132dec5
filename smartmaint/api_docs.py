"""The API's schema and its two readable faces, served without any foreign host."""

from typing import Any

from csp.constants import SELF
from csp.decorators import csp_update
from django.urls import path
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.views import SpectacularAPIView, SpectacularRedocView, SpectacularSwaggerSplitView


class ApiKeyScheme(OpenApiAuthenticationExtension):
    """The two ways to send a key, as the OpenAPI schema tells them."""

    target_class = "smartmaint.accounts.api.ApiKeyAuthentication"
    name = ["key", "keyHeader"]

    def get_security_definition(self, auto_schema: Any) -> list[dict[str, str]]:
        return [
            {"type": "http", "scheme": "bearer", "description": "Also accepted: Token and Api-Key."},
            {"type": "apiKey", "in": "header", "name": "X-API-Key"},
        ]


# ReDoc searches in a worker that it makes itself.
allow_workers = csp_update({"worker-src": [SELF, "blob:"], "child-src": [SELF, "blob:"]})

urlpatterns = [
    path("schema/", SpectacularAPIView.as_view(), name="schema"),
    path("docs/", SpectacularSwaggerSplitView.as_view(url_name="schema"), name="api-docs"),
    path(
        "redoc/",
        allow_workers(SpectacularRedocView.as_view(url_name="schema", template_name="api_redoc.html")),
        name="api-redoc",
    ),
]
