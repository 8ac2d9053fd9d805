"""A worker that is told to stop finishes its task, or hands it back to be run again at once."""

from __future__ import annotations

import secrets
import subprocess
import sys
import time

import pytest
import redis

from tests.production.deployment import Deployment, until

pytestmark = pytest.mark.timeout(400)
SEND = "from config.celery import app; app.send_task('archive.tasks.backup')"


@pytest.fixture
def alone(folder, servers):
    """A worker without the rest, on a queue of its own."""
    place = folder / secrets.token_hex(2)
    place.mkdir()
    with Deployment(place, sys.executable, servers.environment()) as made:
        made.migrate()
        yield made


def run(deployment, code):
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=deployment.code,
        env=deployment.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


WRITE = """
import os
os.environ["DJANGO_SETTINGS_MODULE"] = "config.settings"
import django; django.setup()
import secrets
from accounts.services import register
from chats.services import send_message
ada, bob = (register(username="w" + secrets.token_hex(6)).user.pk for _ in range(2))
send_message(sender_id=ada, recipient_id=bob, text="to be kept")
"""


def queued(deployment):
    """Return how many tasks wait, and how many somebody has taken."""
    url = (deployment.folder / "secrets" / "REDIS_URL").read_text(encoding="utf-8").strip()
    with redis.Redis.from_url(url) as client:
        return client.llen("strata-queue:celery"), client.hlen("strata-queue:unacked")


def test_it_hands_back_what_it_cant_finish(alone, servers):
    run(alone, WRITE)
    alone.start("worker", WORKER_DRAIN_SECONDS="1")
    # An object store that hangs: the backup can't end.
    servers.s3.pause()
    try:
        run(alone, SEND)
        until(lambda: queued(alone) == (0, 1), "the task under way", 150)
        started = time.monotonic()
        alone.stop("worker")
        assert time.monotonic() - started < 40, "it was killed"
        # At once, not when a time-out of an hour is over.
        assert queued(alone) == (1, 0)
    finally:
        servers.s3.resume()
    alone.start("worker")
    until(lambda: queued(alone) == (0, 0), "the task done by another", 150)


def test_it_finishes_what_it_can(alone, servers):
    alone.start("worker", WORKER_DRAIN_SECONDS="30")
    servers.s3.pause()
    try:
        run(alone, WRITE)
        run(alone, SEND)
        until(lambda: queued(alone) == (0, 1), "the task under way", 150)
        alone.process("worker").ask_to_stop()
    finally:
        servers.s3.resume()
    until(lambda: alone.process("worker").status() is not None, "the worker's end", 60)
    assert queued(alone) == (0, 0)
