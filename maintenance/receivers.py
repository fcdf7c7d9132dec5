"""Reactions of maintenance to the signals of other apps."""

from django.dispatch import receiver

from maintenance.services.proposing import drop_proposals, propose_tasks, seed_policy
from predictions.models import Prediction
from predictions.signals import predictions_dropped, predictions_made
from smartmaint.accounts.models import Organization
from smartmaint.accounts.signals import organization_created


@receiver(organization_created)
def on_organization_created(sender: object, *, organization: Organization, **kwargs: object) -> None:
    seed_policy(organization)


@receiver(predictions_made)
def on_predictions_made(sender: object, *, predictions: list[Prediction], **kwargs: object) -> None:
    propose_tasks(predictions)


@receiver(predictions_dropped)
def on_predictions_dropped(sender: object, *, predictions: list[int], **kwargs: object) -> None:
    drop_proposals(predictions)
