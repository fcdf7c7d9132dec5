from django.apps import AppConfig


class AccountsConfig(AppConfig):
    name = "smartmaint.accounts"
    label = "accounts"
    verbose_name = "people and keys"
    default_auto_field = "django.db.models.BigAutoField"
