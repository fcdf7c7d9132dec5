"""Admin pages of the service itself, for the operator: agents, their schedule, and log-in attempts."""

from axes.admin import AccessAttemptAdmin as AxesAttemptAdmin
from axes.admin import AccessLogAdmin as AxesLogAdmin
from axes.models import AccessAttempt, AccessFailureLog, AccessLog
from django.contrib import admin
from django_celery_beat.admin import PeriodicTaskAdmin as BeatTaskAdmin
from django_celery_beat.admin import PeriodicTaskForm, TaskSelectWidget
from django_celery_beat.models import (
    ClockedSchedule,
    CrontabSchedule,
    IntervalSchedule,
    PeriodicTask,
    SolarSchedule,
)
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from smartmaint.accounts.scoped_admin import OperatorModelAdmin, ReadOnlyOperatorModelAdmin
from smartmaint.models import AgentRun

UNUSED = [ClockedSchedule, SolarSchedule, AccessFailureLog]
admin.site.unregister([PeriodicTask, IntervalSchedule, CrontabSchedule, AccessAttempt, AccessLog, *UNUSED])


@admin.register(AgentRun)
class AgentRunAdmin(ReadOnlyOperatorModelAdmin):
    list_display = ["name", "finished_at", "settled", "failed", "overtaken"]


class UnfoldTaskSelectWidget(UnfoldAdminSelectWidget, TaskSelectWidget):
    """The choice of an agent by name, in the admin's looks."""


class AgentScheduleForm(PeriodicTaskForm):
    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)
        self.fields["task"].widget = UnfoldAdminTextInputWidget()
        self.fields["regtask"].widget = UnfoldTaskSelectWidget()


@admin.register(PeriodicTask)
class AgentScheduleAdmin(BeatTaskAdmin, OperatorModelAdmin):
    """How often each agent runs. There is no "run now": only Beat speaks to the broker."""

    form = AgentScheduleForm
    # Beat's own carries an inline script, which the content security policy forbids.
    change_form_template = None
    actions = ["enable_tasks", "disable_tasks"]
    list_filter = ["enabled"]
    date_hierarchy = None


@admin.register(IntervalSchedule)
class IntervalScheduleAdmin(OperatorModelAdmin):
    pass


@admin.register(CrontabSchedule)
class CrontabScheduleAdmin(OperatorModelAdmin):
    pass


@admin.register(AccessAttempt)
class AccessAttemptAdmin(AxesAttemptAdmin, OperatorModelAdmin):
    """Failed log-ins; deleting one lets its person try again at once."""


@admin.register(AccessLog)
class AccessLogAdmin(AxesLogAdmin, ReadOnlyOperatorModelAdmin):
    """Who logged in, when."""
