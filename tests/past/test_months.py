"""Months of a service, from its first hour to a restore from the bucket: nothing lost, nothing doubled.

`make test` runs a short form, `make months` one with thousands of messages.
"""

import os
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from tests.past.checks import IN_CACHE, IN_DATABASE
from tests.past.months import Months, last_year_end, retention_days
from tests.past.stack import PastStack
from tests.past.town import LONG, SHORT

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def months(passable_folder: Path) -> Iterator[Months]:
    scale = LONG if os.environ.get("MONTHS") == "long" else SHORT
    settings = {
        "HOT_MESSAGES_PER_CHAT": str(IN_CACHE),
        "DB_MESSAGES_PER_CHAT": str(IN_DATABASE),
        "ARCHIVE_RETENTION_DAYS": str(retention_days()),
    }
    start = last_year_end() - timedelta(days=60)
    with PastStack(passable_folder / "months", start, settings) as stack:
        yield Months(stack, scale)


@pytest.mark.timeout(7200)
def test_every_message_is_found_once_by_those_who_could_see_it(months: Months) -> None:
    months.month_one()
    months.year_end()
    months.until_today()
    months.archive_and_forget()
    months.say(f"{months.check_bucket()} objects are as they were written down")
    months.check_readers()
    months.check_starts()
    months.check_followers(months.town.faithful)
    months.check_sleepers()
    months.damage()
    months.lose_and_restore()
    months.go_on()
