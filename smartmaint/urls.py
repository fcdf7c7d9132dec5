"""Every address of the service."""

from django.contrib import admin
from django.urls import include, path

from smartmaint import health

urlpatterns = [
    path("healthz", health.healthz, name="healthz"),
    path("readyz", health.readyz, name="readyz"),
    path("admin/", admin.site.urls),
    path("", include("smartmaint.accounts.urls")),
    path("", include("sensors.urls")),
    path("", include("predictions.urls")),
    path("", include("maintenance.urls")),
    path("api/", include("smartmaint.api_docs")),
    path("api/v1/", include("sensors.api.urls")),
    path("api/v1/", include("predictions.api.urls")),
    path("api/v1/", include("maintenance.api.urls")),
]

handler403 = "smartmaint.problems.permission_denied"
handler404 = "smartmaint.problems.page_not_found"
handler500 = "smartmaint.problems.server_error"
