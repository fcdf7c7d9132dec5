from django.apps import AppConfig


class SmartMaintConfig(AppConfig):
    """The project itself: its commands and the record of its agents' runs."""

    name = "smartmaint"
    verbose_name = "service"
    default_auto_field = "django.db.models.BigAutoField"
