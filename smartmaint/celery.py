"""The Celery application; its agents live in each app's `agents` module."""

import os

from celery import Celery
from celery.signals import setup_logging
from django_structlog.celery.steps import DjangoStructLogInitStep

from smartmaint import broker

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "smartmaint.settings")
broker.register()

app = Celery("smartmaint")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.steps["worker"].add(DjangoStructLogInitStep)
app.autodiscover_tasks(related_name="agents")


@setup_logging.connect
def keep_djangos_logging(**kwargs: object) -> None:
    """Celery leaves logging alone: settings.LOGGING serves web, worker and beat alike."""
