"""Runs that an operator starts in the browser: one of a kind, with progress and an end."""

import threading
from datetime import timedelta

import pytest
from django.contrib.auth.models import Permission
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from accounts.tests.factories import make_user
from archive import jobs
from archive.models import BackupRun, Job
from archive.runs import FAILURES
from archive.tests.world import every, talk
from audit.models import Action, Entry
from tests.core.people import Person

pytestmark = pytest.mark.django_db(transaction=True)
LIST = "/admin/archive/job/"
START = f"{LIST}start/"


@pytest.fixture
def queue(monkeypatch):
    """The ids of the jobs that workers would be told, in their order."""
    told = []
    monkeypatch.setattr(jobs, "_send", lambda job: told.append(job.pk))
    return told


def browser_with(*rights):
    user = make_user(is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=rights))
    browser = Client()
    browser.force_login(user)
    return browser


@pytest.fixture
def operator(transactional_db):
    return browser_with(
        *("view_backuprun", "add_backuprun", "view_retentionrun", "add_retentionrun"),
        *("view_drillrun", "add_drillrun"),
    )


def progress(browser, job):
    return browser.get(f"{LIST}{job.pk}/progress/").content.decode()


def test_a_click_starts_a_backup_and_its_result_is_shown(operator, queue):
    talk(Person("ada"), Person("bob"), every(20, 9))
    page = operator.post(START, {"kind": "backup"}, follow=True)
    job = Job.objects.get()
    assert page.request["PATH_INFO"] == f"{LIST}{job.pk}/change/"
    assert 'hx-trigger="every 2s"' in page.content.decode()
    assert queue == [job.pk]
    assert jobs.run_job(job_id=job.pk)
    job.refresh_from_db()
    assert (job.state, job.done, job.total) == (Job.State.DONE, 9, 9)
    shown = progress(operator, job)
    assert "done" in shown
    assert "hx-get" not in shown
    assert BackupRun.objects.get().messages == 9
    assert Entry.objects.get(action=Action.BACKUP).target_id == str(job.pk)


def test_two_clicks_start_one(operator, queue):
    operator.post(START, {"kind": "verify"})
    page = operator.post(START, {"kind": "verify"}, follow=True)
    assert "under way already" in page.content.decode()
    assert Job.objects.count() == len(queue) == 1
    operator.post(START, {"kind": "trim"})
    assert Job.objects.count() == 2


def test_clicks_at_the_same_moment_start_one(queue):
    begin, found = threading.Barrier(6), []

    def click():
        begin.wait()
        found.append(jobs.start_job(kind="backup"))
        connection.close()

    threads = [threading.Thread(target=click) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({job.pk for job, _ in found}) == 1
    assert [new for _, new in found].count(True) == len(queue) == 1


def test_it_runs_once_however_often_it_is_given_out(operator, queue, monkeypatch):
    ran = []
    monkeypatch.setitem(jobs.RUNS, "backup", lambda _: {"ok": not ran.append(1)})  # type: ignore[func-returns-value]
    job, _ = jobs.start_job(kind="backup")
    for _ in range(3):
        assert jobs.run_job(job_id=job.pk)
    assert ran == [1]


def test_a_failure_is_shown_with_its_sentence(operator, queue, monkeypatch):
    def fails(shower):
        raise FAILURES[0]("Cold storage does not answer.")

    monkeypatch.setitem(jobs.RUNS, "purge", fails)
    job, _ = jobs.start_job(kind="purge")
    assert not jobs.run_job(job_id=job.pk)
    assert "Cold storage does not answer." in progress(operator, job)
    assert "Cold storage does not answer." in operator.get(LIST).content.decode()
    assert jobs.start_job(kind="purge")[1]


def test_what_is_wrong_in_the_bucket_makes_it_fail(operator, queue, monkeypatch):
    wrong = {"ok": False, "wrong": 3, "failures": ["A/Key: other bytes"]}
    monkeypatch.setitem(jobs.RUNS, "verify", lambda _: wrong)
    job, _ = jobs.start_job(kind="verify")
    assert not jobs.run_job(job_id=job.pk)
    assert "Wrong: 3 · A/Key: other bytes" in progress(operator, job)


def test_a_report_is_told_as_people_read_it():
    report = {
        "command": "purge", "ok": True, "dry_run": False, "interrupted": True,
        "before": "2026-08-26T13:07:24.491816+00:00", "oldest": None, "deleted": 12345,
        "seconds": 5.5589, "sample": 1.0,
    }  # fmt: skip
    assert jobs.in_words(report) == (
        "Interrupted · before: 2026-08-26 13:07 UTC · oldest: none · deleted: 12,345 · "
        "seconds: 5.56 · sample: 1"
    )


def test_a_defect_ends_it_too(queue, monkeypatch):
    monkeypatch.setitem(jobs.RUNS, "trim", lambda _: 1 / 0)
    job, _ = jobs.start_job(kind="trim")
    with pytest.raises(ZeroDivisionError):
        jobs.run_job(job_id=job.pk)
    job.refresh_from_db()
    assert (job.state, job.sentence) == (Job.State.FAILED, "It broke off: see the worker's log.")


def test_progress_is_told_while_it_runs(operator, queue, monkeypatch):
    monkeypatch.setattr(jobs, "BEAT_SECONDS", 0.05)
    half, go_on = threading.Event(), threading.Event()

    def slow(shower):
        shower.total(10)
        shower.advance(5)
        half.set()
        assert go_on.wait(60)
        shower.advance(5)
        return {"ok": True}

    monkeypatch.setitem(jobs.RUNS, "verify", slow)
    job, _ = jobs.start_job(kind="verify")

    def run():
        jobs.run_job(job_id=job.pk)
        connection.close()

    thread = threading.Thread(target=run)
    thread.start()
    assert half.wait(60)
    while "5 of 10" not in (shown := progress(operator, job)):
        assert thread.is_alive()
    assert 'max="10"' in shown
    assert 'value="5"' in shown
    assert "running, 50 %" in operator.get(LIST).content.decode()
    go_on.set()
    thread.join()
    assert "done" in progress(operator, job)


def test_one_whose_worker_died_ends_as_failed_and_can_be_started_again(operator, queue):
    job, _ = jobs.start_job(kind="backup")
    long_ago = timezone.now() - jobs.SILENT - timedelta(seconds=1)
    Job.objects.update(state=Job.State.RUNNING, seen_at=long_ago)
    assert "The worker that ran it is gone." in progress(operator, job)
    assert jobs.start_job(kind="backup")[1]


def test_one_that_is_given_out_again_after_its_worker_died_goes_on(queue, monkeypatch):
    monkeypatch.setitem(jobs.RUNS, "backup", lambda _: {"ok": True})
    job, _ = jobs.start_job(kind="backup")
    Job.objects.update(state=Job.State.RUNNING, seen_at=timezone.now())
    assert jobs.run_job(job_id=job.pk)
    job.refresh_from_db()
    assert job.state == Job.State.RUNNING
    Job.objects.update(seen_at=timezone.now() - jobs.SILENT - timedelta(seconds=1))
    jobs.run_job(job_id=job.pk)
    job.refresh_from_db()
    assert job.state == Job.State.DONE


def test_a_queue_that_is_away_is_told(operator, servers):
    servers.valkey.pause()
    try:
        page = operator.post(START, {"kind": "backup"}, follow=True)
    finally:
        servers.valkey.resume()
    assert "The queue is away" in page.content.decode()


@pytest.mark.parametrize("kind", ["", "everything", "backup; drop"])
def test_no_such_run_is_refused(operator, queue, kind):
    page = operator.post(START, {"kind": kind}, follow=True)
    assert "There is no such run." in page.content.decode()
    assert not Job.objects.exists()


def test_each_button_needs_its_right(queue):
    viewer = browser_with("view_backuprun")
    assert "Start a run" not in viewer.get(LIST).content.decode()
    assert viewer.post(START, {"kind": "backup"}).status_code == 403
    driller = browser_with("view_backuprun", "add_drillrun")
    page = driller.get(LIST).content.decode()
    assert "start-drill" in page
    assert "start-backup" not in page
    assert driller.post(START, {"kind": "purge"}).status_code == 403
    assert Client().post(START, {"kind": "backup"}).status_code == 302
    assert browser_with().get(LIST).status_code == 403
    assert browser_with().get(f"{LIST}1/progress/").status_code == 403
    assert not Job.objects.exists()


def test_a_link_starts_nothing(operator, queue):
    assert operator.get(START).status_code == 405
    assert operator.get(f"{START}?kind=backup").status_code == 405
    assert operator.get(f"{LIST}99/progress/").status_code == 404


def test_the_pages_take_few_queries(operator, queue):
    for kind in Job.Kind:
        Job.objects.create(kind=kind, state=Job.State.DONE, finished_at=timezone.now())
    job, _ = jobs.start_job(kind="backup")
    for url in (LIST, f"{LIST}{job.pk}/change/", f"{LIST}{job.pk}/progress/"):
        operator.get(url)
        with CaptureQueriesContext(connection) as captured:
            assert operator.get(url).status_code == 200
        assert len(captured) <= 10, url
