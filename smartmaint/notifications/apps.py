from django.apps import AppConfig


class NotificationsConfig(AppConfig):
    """Delivery of messages to people. It knows no event: the apps to its right call `notify`."""

    name = "smartmaint.notifications"
    label = "notifications"
    verbose_name = "notifications"
    default_auto_field = "django.db.models.BigAutoField"
