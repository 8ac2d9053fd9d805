"""The scheduler has the work done that nobody else begins, and each of its tasks is there."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from django.conf import settings

from config.celery import app

DUE = {
    "archive.tasks.backup": timedelta(hours=1),
    "archive.tasks.trim": timedelta(hours=1),
    "archive.tasks.purge": timedelta(days=1),
    "archive.tasks.drill": timedelta(days=7),
}


def test_each_is_a_task_that_a_worker_knows() -> None:
    app.loader.import_default_modules()
    app.finalize(auto=True)
    names = {entry["task"] for entry in settings.CELERY_BEAT_SCHEDULE.values()}
    assert names <= set(app.tasks)
    assert set(DUE) <= names


@pytest.mark.parametrize("name", DUE)
def test_the_archives_runs_are_due_as_often_as_is_said(name: str) -> None:
    schedule: Any
    (schedule,) = (
        entry["schedule"]
        for entry in settings.CELERY_BEAT_SCHEDULE.values()
        if entry["task"] == name
    )
    start = datetime(2026, 1, 1, tzinfo=UTC)
    moments, moment = [], start
    while moment < start + timedelta(days=15):
        if (
            moment.minute in schedule.minute
            and moment.hour in schedule.hour
            and moment.isoweekday() % 7 in schedule.day_of_week
        ):
            moments.append(moment)
        moment += timedelta(minutes=1)
    gaps = {later - earlier for earlier, later in pairwise(moments)}
    assert gaps == {DUE[name]}
