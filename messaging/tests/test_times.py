"""Times come out of the database to the microsecond, whichever way they are read."""

from datetime import UTC, datetime

import pytest
from django.db import connection
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from messaging.wire import from_micros

pytestmark = pytest.mark.django_db

UNTIL_2100 = int(datetime(2100, 1, 1, tzinfo=UTC).timestamp() * 1_000_000)


class Times(TestCase):
    @settings(max_examples=200, deadline=None)
    @given(st.lists(st.integers(0, UNTIL_2100), min_size=20, max_size=20))
    def test_microseconds_are_exact(self, times):
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT (date_part('epoch', t) * 1e6)::bigint FROM unnest(%s::timestamptz[]) t",
                ([from_micros(time) for time in times],),
            )
            assert [row[0] for row in cursor.fetchall()] == times
