"""Every address of the service."""

from django.contrib import admin
from django.urls import include, path

from smartmaint import health

urlpatterns = [
    # First what programs ask for by the hundred a second: each pattern before it would be tried each time.
    path("api/v1/", include("sensors.api.urls")),
    path("", include("sensors.api.line_protocol")),
    path("api/v1/", include("predictions.api.urls")),
    path("api/v1/", include("maintenance.api.urls")),
    path("api/", include("smartmaint.api_docs")),
    path("healthz", health.healthz, name="healthz"),
    path("readyz", health.readyz, name="readyz"),
    path("admin/", admin.site.urls),
    path("", include("smartmaint.accounts.urls")),
    path("", include("smartmaint.notifications.urls")),
    path("", include("sensors.urls")),
    path("", include("predictions.urls")),
    path("", include("maintenance.urls")),
]

handler403 = "smartmaint.problems.permission_denied"
handler404 = "smartmaint.problems.page_not_found"
handler500 = "smartmaint.problems.server_error"
