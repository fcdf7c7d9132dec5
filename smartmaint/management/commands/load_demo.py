"""Loads the demo plants and prints how to log in."""

from datetime import UTC, datetime, timedelta

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser

from sensors.storage import microseconds
from smartmaint.accounts.models import Organization
from smartmaint.demo.installation import State, load_demo, logins_of_demo, remove_demo, state_of_demo
from smartmaint.demo.logins import Logins, describe_logins, logins_path
from smartmaint.demo.plant import HISTORY_DAYS, ORGANISATIONS
from smartmaint.demo.progress import progress
from smartmaint.models import AgentRun

READINGS_A_DAY = 288
AT_WORK = timedelta(seconds=10)


class Command(BaseCommand):
    help = "Loads the demo: two organisations, 90 days of readings, past maintenance. Prints the log-ins."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--if-empty", action="store_true", help="load only where there is no organisation yet"
        )
        parser.add_argument("--days", type=int, default=HISTORY_DAYS, help="days of history (default 90)")

    def handle(self, *args: object, if_empty: bool, days: int, **options: object) -> None:
        if not 1 <= days <= HISTORY_DAYS:
            raise CommandError(f"--days is from 1 to {HISTORY_DAYS}.")
        state = state_of_demo(ORGANISATIONS)
        if state == State.COMPLETE:
            if not if_empty:
                raise CommandError("The demo is loaded already; its log-ins: manage.py load_demo --if-empty")
            self._tell(logins_of_demo(ORGANISATIONS))
        elif state == State.ABSENT and if_empty and Organization.objects.exists():
            self.stdout.write("There are organisations already: no demo was loaded.")
        else:
            self._tell(self._load(state, days))

    def _load(self, state: State, days: int) -> Logins:
        now = datetime.now(UTC)
        if AgentRun.objects.filter(finished_at__gte=now - AT_WORK).exists():
            raise CommandError(
                "Agents are at work on this database: stop worker and beat, then load the demo."
            )
        if state == State.INCOMPLETE:
            self.stdout.write("A load of the demo was cut short: it starts anew.")
            remove_demo(ORGANISATIONS)
        total = sum(len(plan.sensors) for plan in ORGANISATIONS) * days * READINGS_A_DAY
        with progress(total, say=self.stderr.write) as bar:
            try:
                return load_demo(
                    ORGANISATIONS,
                    epoch_us=microseconds(now.replace(microsecond=0)),
                    days=days,
                    on_step=bar.step,
                    on_stored=bar.store,
                )
            except ValidationError as error:
                raise CommandError(f"The demo cannot be loaded: {' '.join(error.messages)}") from error

    def _tell(self, logins: Logins | None) -> None:
        if logins is None:
            self.stdout.write(
                f"The demo is loaded, but {logins_path()} does not hold its log-ins: "
                "set a password with manage.py changepassword sofia"
            )
        else:
            self.stdout.write(describe_logins(logins, path=logins_path()))
