from django.contrib.admin.apps import AdminConfig


class SmartMaintAdminConfig(AdminConfig):
    """Django's admin with the project's own site, whose doors open by membership."""

    default_site = "smartmaint.admin_site.SmartMaintAdminSite"
