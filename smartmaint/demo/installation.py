"""Loading the demo: all of it, or, when it is cut short, a next time from the start."""

from collections.abc import Callable, Sequence
from datetime import timedelta
from enum import Enum

from django.db import transaction
from django.db.models import QuerySet

from maintenance.replay.pending import do_pending_work, history_in_domain_time
from maintenance.services.removing import remove_organizations
from predictions.services.requesting import request_due_predictions
from sensors.models import Anomaly
from sensors.storage import moment
from smartmaint import clock
from smartmaint.accounts.models import ApiKey, Organization, Role, Scope, User
from smartmaint.accounts.services import issue_api_key
from smartmaint.demo.blueprint import OrganisationPlan
from smartmaint.demo.logins import Login, Logins, new_password, read_logins, save_logins
from smartmaint.demo.organisations import build_organization
from smartmaint.demo.plant import SEED
from smartmaint.demo.replay import Replay
from smartmaint.demo.telling import WATCHED_DAYS, Telling, believe

OPERATOR = "operator"
KEY = "Demo gateway"
UNTIL_JUST_NOW = 15 / (24 * 60)
"""A quarter of an hour, in days."""
KEY_WHILE_LOADING = "Demo gateway, while the demo is loaded"

# What happens now, in words; and how many readings were stored since the last call.
OnStep = Callable[[str], None]
OnStored = Callable[[int], None]


class State(Enum):
    """What a database holds of the demo."""

    ABSENT = "absent"
    INCOMPLETE = "incomplete"
    COMPLETE = "complete"


def state_of_demo(plans: Sequence[OrganisationPlan]) -> State:
    """Told by the name of the integrator's key, which nobody else's organisation of the same name has."""
    keys = ApiKey.objects.filter(organization__in=_organizations(plans))
    if keys.filter(name=KEY_WHILE_LOADING).exists():
        return State.INCOMPLETE
    return State.COMPLETE if keys.filter(name=KEY).exists() else State.ABSENT


def remove_demo(plans: Sequence[OrganisationPlan]) -> None:
    """Take away what a load that was cut short has left."""
    remove_organizations(list(_organizations(plans)))


def logins_of_demo(plans: Sequence[OrganisationPlan]) -> Logins | None:
    """The saved log-ins, if they are those of the demo in this database."""
    logins = read_logins()
    if logins is None:
        return None
    own_keys = ApiKey.objects.filter(organization__in=_organizations(plans), prefix=logins.key_prefix)
    return logins if own_keys.exists() else None


def _organizations(plans: Sequence[OrganisationPlan]) -> QuerySet[Organization]:
    return Organization.objects.filter(slug__in=[plan.slug for plan in plans])


def load_demo(
    plans: Sequence[OrganisationPlan], *, epoch_us: int, days: int, on_step: OnStep, on_stored: OnStored
) -> Logins:
    """Load organisations with `days` of history until `epoch_us` (microseconds since 1970), ready to go on live.

    The first plan is the one that the integrator's key belongs to. Raises ValidationError where a name is taken.
    """
    on_step("Organisations, people and machines")
    began_at = moment(epoch_us) - timedelta(days=days)
    with history_in_domain_time():
        with clock.frozen(began_at):
            logins = _build(plans, epoch_us=epoch_us)
        save_logins(logins)
        for plan in plans:
            _live_through(plan, epoch_us=epoch_us, days=days, on_step=on_step, on_stored=on_stored)
        with clock.frozen(moment(epoch_us)):
            on_step("Predictions of today")
            for organization in _organizations(plans):
                request_due_predictions(organization)
                do_pending_work(organization)
    _open(plans, logins)
    return logins


@transaction.atomic
def _open(plans: Sequence[OrganisationPlan], logins: Logins) -> None:
    """All is there: let people and gateways in, and the operator, if there was none."""
    if any(login.username == OPERATOR for login in logins.people):
        User.objects.create_superuser(username=OPERATOR, password=logins.password)
    _organizations(plans).update(is_active=True)
    ApiKey.objects.filter(organization__in=_organizations(plans), name=KEY_WHILE_LOADING).update(name=KEY)


@transaction.atomic
def _build(plans: Sequence[OrganisationPlan], *, epoch_us: int) -> Logins:
    password = new_password()
    first, *_ = [build_organization(plan, password=password) for plan in plans]
    _, secret = issue_api_key(organization=first, name=KEY_WHILE_LOADING, scopes=[Scope.INGEST, Scope.READ])
    people = [login for plan in plans for login in _people(plan)]
    if not User.objects.filter(is_superuser=True).exists():
        people.append(Login(OPERATOR, "", "operator", "(the whole service)"))
    return Logins(password=password, api_key=secret, epoch_us=epoch_us, people=tuple(people))


def _people(plan: OrganisationPlan) -> list[Login]:
    return [Login(one.username, one.name, one.role, plan.name) for one in plan.people] + [
        Login(one.username, one.name, Role.TECHNICIAN.value, plan.name) for one in plan.technicians
    ]


def _live_through(
    plan: OrganisationPlan, *, epoch_us: int, days: int, on_step: OnStep, on_stored: OnStored
) -> None:
    """Post an organisation's readings and tell its stories, in order of time."""
    replay = Replay(
        Organization.objects.get(slug=plan.slug),
        plan,
        epoch_us=epoch_us,
        first_day=-days,
        seed=SEED,
        on_stored=on_stored,
    )
    tellings = [
        Telling(replay, story) for story in plan.stories if story.predicted_day - WATCHED_DAYS >= -days
    ]
    steps = sorted((step for telling in tellings for step in telling.steps()), key=lambda step: step.day)
    for step in steps:
        on_step(f"{plan.name}, {-step.day:.0f} days ago: {step.words}")
        with clock.frozen(replay.at(step.day)):
            step.tell()
    _watch_today(replay, on_step)
    on_step(f"{plan.name}, until now")
    with clock.frozen(moment(epoch_us)):
        replay.post_history(until_us=epoch_us)
        do_pending_work(replay.organization)


def _watch_today(replay: Replay, on_step: OnStep) -> None:
    """Let what is wrong now be noticed as it happens. What comes after is history again: nobody waits for more."""
    keys = {sensor.key for _, sensor in replay.plan.sensors} & {*replay.plan.watched_today}
    if not keys:
        return
    on_step(f"{replay.plan.name}, today")
    replay.post_history(until_us=replay.us(-WATCHED_DAYS), only=keys)
    with clock.frozen(replay.at(-UNTIL_JUST_NOW)):
        replay.post_live(until_us=replay.us(-UNTIL_JUST_NOW), only=keys)
        do_pending_work(replay.organization)
        believe(Anomaly.objects.to_settle().filter(sensor__key__in=keys), replay.organization)
