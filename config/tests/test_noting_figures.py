"""The task that notes the dashboard's figures, from the servers and workers that run."""

import pytest

from config import counting
from config.tasks import note_figures, served
from overview.models import Figure, Name


@pytest.mark.django_db(transaction=True)
def test_it_notes_backup_and_queue_from_the_servers_that_run():
    assert note_figures.apply().get()
    assert Figure.objects.filter(name=Name.BACKUP_LAG).exists()
    assert Figure.objects.filter(name=Name.QUEUE).exists()
    assert Figure.objects.get(name=Name.REPORTS).value == 0


def test_the_workers_counts_are_found_by_tier(monkeypatch):
    found = {
        (counting.SERVED.name, ("get_messages", "cache")): 5.0,
        (counting.SERVED.name, ("chat_messages", "cache")): 2.0,
        (counting.SERVED.name, ("chat_messages", "archive")): 1.0,
        ("strata_requests_total", ("get_messages", "2xx")): 9.0,
    }
    monkeypatch.setattr(counting, "totals", lambda: found)
    assert served() == {"cache": 7.0, "archive": 1.0}
