"""Agents: what Beat starts every few seconds.

`@agent(every=2)` turns a function into a Celery task that Beat publishes at that interval. Its message carries nothing
and expires after two intervals; it may be lost, doubled or late, because what is to be done stands in rows. Each run
leaves its mark in `AgentRun`, from which health is read.
"""

import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

import structlog
from celery import Task, shared_task

from smartmaint.locks import one_of_locks
from smartmaint.models import AgentRun
from smartmaint.work import Tally

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Schedule:
    """One line of Beat's schedule: the task's name and its interval in seconds."""

    task: str
    every: int


schedules: dict[str, Schedule] = {}


def agent(*, every: int, at_once: int | None = None) -> Callable[[Callable[[], Tally]], Task]:
    """Register a function as an agent that runs every `every` seconds; it returns what it did.

    No more than `at_once` of it run at a time, anywhere: a slow agent then never takes all workers, and the quick ones
    have theirs.
    """

    def register(function: Callable[[], Tally]) -> Task:
        name = f"{function.__module__}.{function.__name__}"

        def run() -> None:
            started_at, began = datetime.now(UTC), time.monotonic()
            with nullcontext(True) if at_once is None else one_of_locks(name, at_once) as may_run:
                if not may_run:
                    return
                tally = function()
            if tally.settled or tally.failed:
                log.info("agent_ran", agent=name, seconds=round(time.monotonic() - began, 3), **asdict(tally))
            AgentRun.objects.update_or_create(
                name=name,
                defaults={"started_at": started_at, "finished_at": datetime.now(UTC), **asdict(tally)},
            )

        run.__doc__ = function.__doc__
        schedules[name] = Schedule(task=name, every=every)
        return shared_task(run, name=name, ignore_result=True)

    return register
