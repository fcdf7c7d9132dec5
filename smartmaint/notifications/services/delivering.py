"""Delivery: by e-mail where the person has an address and wants it."""

from dataclasses import dataclass
from email.utils import make_msgid

from django.conf import settings
from django.core.mail import EmailMessage

from smartmaint import clock
from smartmaint.accounts.models import Membership
from smartmaint.notifications.models import Channel, Notification, NotificationPreference

DUMMY = "django.core.mail.backends.dummy.EmailBackend"


@dataclass(frozen=True)
class Delivery:
    """Which way a message went, and why not by e-mail."""

    channel: Channel
    remark: str = ""


def deliver(notification: Notification) -> Delivery:
    """Send one message; raises what the mail server raised, so that the engine tries it again."""
    remark = _why_not_by_email(notification)
    delivery = Delivery(Channel.LOG, remark) if remark else Delivery(Channel.EMAIL)
    if delivery.channel == Channel.EMAIL:
        _message(notification).send()
    return delivery


def record_delivery(notification: Notification, delivery: Delivery) -> None:
    """Keep how it went. Runs in the message's transaction."""
    notification.channel, notification.remark = delivery.channel, delivery.remark
    notification.delivered_at = clock.now()
    notification.save(update_fields=["channel", "remark", "delivered_at"])


def _why_not_by_email(notification: Notification) -> str:
    """In words; empty when it goes by e-mail."""
    # It may have waited for a mail server, and the person left meanwhile.
    members = Membership.objects.for_organization(notification.organization)
    if not members.filter(user=notification.recipient_id, is_active=True, user__is_active=True).exists():
        return "no longer a member"
    if not notification.recipient.email:
        return "no e-mail address"
    if settings.EMAIL_BACKEND == DUMMY:
        return "no mail server is set up (EMAIL_HOST)"
    preference = (
        NotificationPreference.objects.for_organization(notification.organization)
        .filter(user=notification.recipient_id)
        .first()
    )
    return "e-mail is switched off" if preference is not None and not preference.by_email else ""


def _message(notification: Notification) -> EmailMessage:
    """The same message has the same id each time: a mailbox that got it twice shows it once."""
    organization = notification.organization
    words = [notification.body]
    if notification.link:
        words.append(f"{settings.SITE_URL}{notification.link}")
    words.append(
        f"{organization.name}. What you are told of is up to you: {settings.SITE_URL}/notifications/"
    )
    return EmailMessage(
        subject=f"[{notification.get_severity_display()}] {notification.subject}",
        body="\n\n".join(filter(None, words)),
        to=[notification.recipient.email],
        headers={"Message-ID": _message_id(notification), "Auto-Submitted": "auto-generated"},
    )


def _message_id(notification: Notification) -> str:
    domain = make_msgid().rpartition("@")[2].rstrip(">")
    return f"<notification-{notification.pk}-{notification.created_at:%Y%m%d%H%M%S}@{domain}>"
