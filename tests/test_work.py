"""The work engine: each row once, failures put off and parked, workers that die or overtake one another."""

from datetime import UTC, datetime, timedelta

import pytest
from django.apps import apps
from django.db import IntegrityError, connection, transaction

from sensors.models import ReadingBatch
from smartmaint import work
from smartmaint.claims import NO_WORD, claim
from smartmaint.queues import MAX_ATTEMPTS, PendingWork, backoff
from smartmaint.work import each, run_pending


class WorkerKilled(BaseException):
    """Passes by everything that catches exceptions, as a kill does."""


@pytest.fixture
def rows(organization):
    def make(count):
        batches = [
            ReadingBatch(
                organization=organization,
                received=1,
                inserted=1,
                updated=0,
                unchanged=0,
                rejected=0,
            )
            for _ in range(count)
        ]
        for batch in batches:
            batch.mark_due()
        return ReadingBatch.objects.bulk_create(batches)

    return make


def note(settled):
    return lambda row, result: settled.append((row.pk, result))


def states():
    """Per row: attempts, whether it is done (nothing is due), whether it was never parked."""
    rows = ReadingBatch.objects.order_by("pk")
    return [(row.attempts, row.due_at is None, row.parked_at is None) for row in rows]


def test_pending_rows_are_settled_once_in_order(rows):
    batches, settled = rows(3), []

    tally = run_pending(
        ReadingBatch, work=lambda rows: [row.pk * 2 for row in rows], settle=note(settled), order_by=("id",)
    )

    assert tally == work.Tally(settled=3)
    assert settled == [(batch.pk, batch.pk * 2) for batch in batches]
    assert states() == [(1, True, True)] * 3
    assert run_pending(ReadingBatch, work=lambda rows: rows, settle=note(settled)) == work.Tally()


def test_a_bad_row_stops_no_other(rows):
    batches, settled = rows(3), []

    def fails_on_the_second(rows):
        if any(row.pk == batches[1].pk for row in rows):
            raise ValueError("this one is bad")
        return [None for _ in rows]

    tally = run_pending(ReadingBatch, work=fails_on_the_second, settle=note(settled))

    assert tally == work.Tally(settled=2, failed=1)
    assert {pk for pk, _ in settled} == {batches[0].pk, batches[2].pk}
    bad = ReadingBatch.objects.get(pk=batches[1].pk)
    assert (bad.attempts, bad.last_error, bad.parked_at) == (1, "ValueError: this one is bad", None)
    assert bad.due_at > datetime.now(UTC) + timedelta(seconds=20)


def test_what_settling_wrote_is_undone_when_it_fails(rows):
    (batch,) = rows(1)

    def settle(row, result):
        ReadingBatch.objects.filter(pk=row.pk).update(is_historical=True)
        raise RuntimeError("too late")

    assert run_pending(ReadingBatch, work=lambda rows: rows, settle=settle) == work.Tally(failed=1)
    batch.refresh_from_db()
    assert (batch.is_historical, batch.last_error) == (False, "RuntimeError: too late")
    assert batch.due_at is not None


def test_a_claim_is_counted_before_the_work(rows):
    rows(1)
    (claimed,) = claim(ReadingBatch, limit=10, order_by=("id",))
    assert claimed.attempts == 1
    assert ReadingBatch.objects.get().attempts == 1
    assert claim(ReadingBatch, limit=10, order_by=("id",)) == []


def test_a_worker_that_was_overtaken_writes_nothing(rows):
    (batch,) = rows(1)
    settled = []

    def slow_work(rows):
        ReadingBatch.objects.filter(pk=batch.pk).update(attempts=2)
        return list(rows)

    tally = run_pending(ReadingBatch, work=slow_work, settle=note(settled))

    assert (tally, settled) == (work.Tally(overtaken=1), [])
    assert ReadingBatch.objects.get().due_at is not None


def test_a_result_for_what_was_marked_anew_meanwhile_is_not_written(rows):
    (batch,) = rows(1)
    settled = []

    def slow_work(rows):
        again = ReadingBatch.objects.get(pk=batch.pk)
        again.mark_due()
        again.save()
        claim(ReadingBatch, limit=1, order_by=("id",))  # another worker, and attempts is 1 again
        return list(rows)

    assert run_pending(ReadingBatch, work=slow_work, settle=note(settled)) == work.Tally(overtaken=1)
    assert settled == []


def test_after_a_bad_batch_each_row_is_settled_before_the_next_is_worked_on(rows):
    rows(3)
    happened = []

    def work_on(rows):
        if len(rows) > 1:
            raise ValueError("one by one")
        happened.append(("work", rows[0].pk))
        return list(rows)

    run_pending(
        ReadingBatch,
        work=work_on,
        settle=lambda row, result: happened.append(("settle", row.pk)),
        order_by=("id",),
    )
    assert [step for step, _ in happened] == ["work", "settle"] * 3


def test_after_the_last_attempt_a_row_is_parked_and_can_be_tried_again(rows):
    rows(1)

    def fail(row):
        raise ValueError("always")

    for _ in range(MAX_ATTEMPTS):
        ReadingBatch.objects.update(due_at=datetime.now(UTC))
        run_pending(ReadingBatch, work=each(fail), settle=note([]))

    assert states() == [(MAX_ATTEMPTS, True, False)]
    assert ReadingBatch.objects.stuck().get().last_error == "ValueError: always"
    assert ReadingBatch.objects.stuck().try_again() == 1
    assert states() == [(0, False, True)]
    assert ReadingBatch.objects.due().count() == 1


def test_a_row_that_kills_its_worker_each_time_is_parked(rows):
    rows(1)
    for _ in range(MAX_ATTEMPTS):
        claim(ReadingBatch, limit=1, order_by=("id",))
        ReadingBatch.objects.update(due_at=datetime.now(UTC))

    assert claim(ReadingBatch, limit=1, order_by=("id",)) == []
    stuck = ReadingBatch.objects.stuck().get()
    assert "worker was killed" in stuck.last_error


def test_what_an_attempt_told_stays_to_be_read_while_the_next_one_is_made(rows):
    rows(1)
    seen = []

    def fail(row):
        seen.append((row.last_error, ReadingBatch.objects.get().last_error))
        raise ValueError("no such thing")

    for _ in range(3):
        ReadingBatch.objects.update(due_at=datetime.now(UTC))
        run_pending(ReadingBatch, work=each(fail), settle=note([]))

    told = f"{NO_WORD}ValueError: no such thing"
    assert seen == [("", ""), (told, told), (told, told)]
    assert ReadingBatch.objects.get().last_error == "ValueError: no such thing"
    ReadingBatch.objects.update(due_at=datetime.now(UTC))
    run_pending(ReadingBatch, work=lambda rows: rows, settle=note([]))
    assert ReadingBatch.objects.get().last_error == ""


def test_rows_that_had_told_something_before_their_worker_was_killed_are_claimed_few_at_a_time(rows):
    rows(30)
    ReadingBatch.objects.update(attempts=1, last_error="ValueError: once")
    assert len(claim(ReadingBatch, limit=80, order_by=("id",))) == 30
    claims = []
    for _ in range(2):
        ReadingBatch.objects.update(due_at=datetime.now(UTC))
        claims.append(len(claim(ReadingBatch, limit=800, order_by=("id",))))
    assert claims == [800 // 8**2, 800 // 8**3]
    assert set(ReadingBatch.objects.values_list("last_error", flat=True)) == {f"{NO_WORD}ValueError: once"}


def test_a_parked_row_whose_worker_was_killed_tells_what_it_had_told_before(rows):
    rows(1)
    ReadingBatch.objects.update(attempts=MAX_ATTEMPTS - 1, last_error="ValueError: once")
    claim(ReadingBatch, limit=1, order_by=("id",))
    ReadingBatch.objects.update(due_at=datetime.now(UTC))
    assert claim(ReadingBatch, limit=1, order_by=("id",)) == []
    assert ReadingBatch.objects.stuck().get().last_error == f"{NO_WORD}ValueError: once"


@pytest.mark.parametrize("place", [0, 61, 250, 499])
def test_one_of_many_that_kills_its_worker_is_parked_alone_and_the_others_are_done(rows, place):
    poison = rows(500)[place]
    deaths, settled = 0, []

    def dies_of_the_poison(rows):
        if any(row.pk == poison.pk for row in rows):
            raise WorkerKilled
        return list(rows)

    while ReadingBatch.objects.pending().exists():
        ReadingBatch.objects.pending().update(due_at=datetime.now(UTC))  # the back-off is over
        try:
            run_pending(
                ReadingBatch,
                work=dies_of_the_poison,
                settle_all=lambda rows, results: settled.extend(row.pk for row in rows),
                order_by=("id",),
                batch_size=500,
            )
        except WorkerKilled:
            deaths += 1

    assert deaths == MAX_ATTEMPTS
    assert ReadingBatch.objects.stuck().get() == poison
    assert len(settled) == len(set(settled)) == 499
    innocent = ReadingBatch.objects.exclude(pk=poison.pk)
    assert max(innocent.values_list("attempts", flat=True)) <= 4


def test_rows_that_fail_with_a_word_go_on_together(rows):
    """One sensor that fails keeps every batch that names it; these are not done one by one for it."""
    rows(40)
    together = []

    def fail(rows):
        together.append(len(rows))
        return [ValueError("always") for _ in rows]

    for _ in range(MAX_ATTEMPTS):
        ReadingBatch.objects.update(due_at=datetime.now(UTC))
        run_pending(ReadingBatch, work=fail, settle=note([]))

    assert together == [40] * MAX_ATTEMPTS
    assert ReadingBatch.objects.stuck().count() == 40


def test_what_is_put_back_counts_as_failed(rows):
    """As a batch of which one sensor's detection failed: nobody may think that all is well."""
    batches = rows(3)

    def put_the_first_back(rows, results):
        rows[0].put_back("Sensor 1: ValueError: always")
        rows[0].save_queue_columns()
        return 1

    tally = run_pending(
        ReadingBatch, work=list, settle_all=put_the_first_back, order_by=("id",), batch_size=10
    )
    assert tally == work.Tally(settled=2, failed=1)
    assert list(ReadingBatch.objects.pending()) == [batches[0]]


def test_fresh_rows_are_not_claimed_with_those_whose_worker_was_killed(rows):
    killed = [row.pk for row in rows(3)]
    claim(ReadingBatch, limit=10, order_by=("id",))
    ReadingBatch.objects.update(due_at=datetime.now(UTC))
    fresh = [row.pk for row in rows(3)]

    claims = []
    while claimed := claim(ReadingBatch, limit=10, order_by=("id",)):
        claims.append([row.pk for row in claimed])
    assert claims == [[killed[0]], [killed[1]], [killed[2]], fresh]


def test_rows_to_be_given_up_do_not_hide_those_behind_them(rows):
    batches, settled = rows(3), []
    ReadingBatch.objects.filter(pk__in=[batch.pk for batch in batches[:2]]).update(attempts=MAX_ATTEMPTS)

    tally = run_pending(
        ReadingBatch, work=lambda rows: rows, settle=note(settled), order_by=("id",), batch_size=2
    )

    assert tally == work.Tally(settled=1)
    assert [pk for pk, _ in settled] == [batches[2].pk]
    assert ReadingBatch.objects.stuck().count() == 2


def test_back_off_doubles_up_to_an_hour(settings):
    settings.WORK_BACKOFF_SECONDS = 30
    assert [backoff(n).total_seconds() for n in (1, 2, 3, 7, 8, 20)] == [30, 60, 120, 1920, 3600, 3600]


def test_a_claim_with_a_lease_is_nobody_elses_before_it_is_over(rows):
    rows(1)
    lease = timedelta(minutes=5)
    (claimed,) = claim(ReadingBatch, limit=10, order_by=("id",), lease=lease)
    assert claimed.due_at == ReadingBatch.objects.get().due_at
    assert timedelta(minutes=4) < claimed.due_at - datetime.now(UTC) <= lease


def test_a_lease_shortens_no_back_off_and_lengthens_none_of_what_failed(rows, settings):
    settings.WORK_BACKOFF_SECONDS = 30
    rows(1)
    ReadingBatch.objects.update(attempts=4)
    (claimed,) = claim(ReadingBatch, limit=1, order_by=("id",), lease=timedelta(minutes=5))
    assert claimed.due_at - datetime.now(UTC) > timedelta(minutes=7)

    def fail(row):
        raise ValueError("no such thing")

    ReadingBatch.objects.update(attempts=0, due_at=datetime.now(UTC))
    run_pending(ReadingBatch, work=each(fail), settle=note([]), lease=timedelta(minutes=5))
    assert ReadingBatch.objects.get().due_at - datetime.now(UTC) <= timedelta(seconds=30)


def test_a_run_stops_claiming_when_its_budget_is_spent(rows):
    rows(4)
    tally = run_pending(ReadingBatch, work=lambda rows: rows, settle=note([]), batch_size=1, budget_seconds=0)
    assert tally == work.Tally(settled=1)


def test_only_the_named_part_of_the_queue_is_taken(rows, other_organization):
    rows(2)
    only = work.Q(organization=other_organization)
    assert run_pending(ReadingBatch, work=lambda rows: rows, settle=note([]), only=only) == work.Tally()


@pytest.mark.django_db(transaction=True)
def test_two_workers_never_claim_the_same_row(organization, rows):
    from_this = [batch.pk for batch in rows(6)]
    with connection.cursor() as cursor:
        cursor.execute("BEGIN")
        cursor.execute("SELECT id FROM sensors_readingbatch ORDER BY id LIMIT 2 FOR NO KEY UPDATE")
        other = connection.copy()
        try:
            with other.cursor() as elsewhere:
                elsewhere.execute(
                    "SELECT id FROM sensors_readingbatch ORDER BY id FOR NO KEY UPDATE SKIP LOCKED"
                )
                assert [pk for (pk,) in elsewhere.fetchall()] == from_this[2:]
        finally:
            other.close()
            cursor.execute("ROLLBACK")


QUEUES = [model for model in apps.get_models() if issubclass(model, PendingWork)]


@pytest.mark.parametrize("queue", QUEUES, ids=lambda queue: queue.__name__)
def test_no_row_both_waits_and_is_parked(queue):
    names = {constraint.name for constraint in queue._meta.constraints}
    assert f"{queue._meta.model_name}_waits_or_is_parked" in names


def test_the_database_refuses_a_row_that_waits_and_is_parked(rows):
    rows(1)
    with pytest.raises(IntegrityError, match="readingbatch_waits_or_is_parked"), transaction.atomic():
        ReadingBatch.objects.update(parked_at=datetime.now(UTC))
