"""Putting the sources of a story in order."""

from itertools import chain

from equipment.models import Equipment
from maintenance.story.alarms import alarms
from maintenance.story.entries import Place, StoryPage
from maintenance.story.signs import anomalies, batches, events, judgements, predictions
from maintenance.story.work import baselines, bookings, decisions, failures, logs, scores, task_steps

ENTRIES_PER_PAGE = 25
SOURCES = (
    events,
    batches,
    anomalies,
    judgements,
    alarms,
    predictions,
    decisions,
    task_steps,
    bookings,
    failures,
    logs,
    baselines,
    scores,
)


def tell_story(machine: Equipment, *, start: Place | None = None, most: int = ENTRIES_PER_PAGE) -> StoryPage:
    """What happened to a machine and to what stands below it, from `start` back; a fixed number of queries.

    Predictions made on the hour are left out unless they made a task: they repeat what is known.
    """
    machines = dict(Equipment.objects.with_descendants(of=machine).values_list("pk", "tag"))
    # Each source alone could fill the page and show the entry after it.
    entries = sorted(
        chain.from_iterable(source(machines, start, most + 1) for source in SOURCES),
        key=lambda entry: entry.place,
        reverse=True,
    )
    older = entries[most].place if len(entries) > most else None
    return StoryPage(entries=entries[:most], older=older, is_newest=start is None)
