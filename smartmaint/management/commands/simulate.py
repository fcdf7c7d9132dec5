"""Goes on posting the demo plant's readings to the HTTP API, and tells what becomes of them."""

import time
from datetime import datetime
from typing import NoReturn

from django.core.management.base import BaseCommand, CommandError, CommandParser
from tqdm import tqdm

from smartmaint.demo.gateway import Gateway, Refused, ServerAway
from smartmaint.demo.live import LivePlant, LiveStory
from smartmaint.demo.logins import logins_path, read_logins
from smartmaint.demo.narration import Narrator
from smartmaint.demo.plant import RIVERSIDE, SEED
from smartmaint.supervisor import web_address

USUAL_ADDRESS = "http://localhost:8000"
FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 30.0
UNITS = {sensor.key: sensor.unit for _, sensor in RIVERSIDE.sensors}


class Command(BaseCommand):
    help = "Posts live readings of the demo plant until Ctrl-C; within a minute an anomaly becomes a task."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--url",
            default=web_address() or USUAL_ADDRESS,
            help="where the web server is (default %(default)s)",
        )
        parser.add_argument("--key", default="", help="an API key (default: that of the demo)")
        parser.add_argument("--every", type=float, default=3.0, help="seconds between readings (default 3)")

    def handle(self, *args: object, url: str, key: str, every: float, **options: object) -> None:
        logins = read_logins()
        if logins is None:
            raise CommandError(f"{logins_path()} is not there: load the demo first (make run does).")
        if not url.startswith(("http://", "https://")):
            raise CommandError(f"--url {url}: it begins with http:// or https://.")
        if not 0.5 <= every <= 300:
            raise CommandError("--every is from 0.5 to 300 seconds.")
        gateway = Gateway(url, key or logins.api_key)
        plant = LivePlant(RIVERSIDE, gateway, epoch_us=logins.epoch_us, seed=SEED)
        try:
            self._go_on(LiveStory(plant, Narrator(gateway, units=UNITS), self._say), every)
        except Refused as error:
            raise CommandError(f"The server refuses: {error}") from error
        except KeyboardInterrupt:
            self._say("stopped; the next start goes on from here")

    def _go_on(self, story: LiveStory, every: float) -> NoReturn:
        """Post readings for ever; after the server was away, first what was measured meanwhile."""
        pause = FIRST_PAUSE_S
        while True:
            try:
                self._catch_up(story.plant)
                story.begin()
                while True:
                    began = time.monotonic()
                    story.tick()
                    pause = FIRST_PAUSE_S
                    time.sleep(max(0.0, every - (time.monotonic() - began)))
            except ServerAway as error:
                self._say(f"the server is away ({error}); trying again in {pause:g} s")
                time.sleep(pause)
                pause = min(2 * pause, LONGEST_PAUSE_S)

    def _catch_up(self, plant: LivePlant) -> None:
        count = sum(
            tqdm(
                plant.catch_up(),
                desc="Catching up",
                unit=" requests",
                disable=None,
                leave=False,
            )
        )
        if count:
            self._say(f"{count:,} readings since the last ones, as historical")

    def _say(self, words: str) -> None:
        self.stdout.write(f"{datetime.now():%H:%M:%S} {words}")
        self.stdout.flush()
