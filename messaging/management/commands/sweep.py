"""`manage.py sweep`: keeps the cache true to the database, for as long as it runs."""

import logging
import signal
import threading
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser
from django.db import DatabaseError, connection

from common.cache import CacheUnavailable, cache
from common.errors import Unavailable
from messaging.sweeper import Sweeper

logger = logging.getLogger("messaging.sweep")


class Command(BaseCommand):
    """Run the sweeper until SIGTERM or Ctrl-C, or once."""

    help = (
        "Compare what was committed with what the cache was told, every SWEEP_INTERVAL_MS, and "
        "tell it the difference. Run one or more beside the web servers: without any, polls ask "
        "the database."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Take `--once`."""
        parser.add_argument("--once", action="store_true", help="sweep once and say what was done")

    def handle(self, *, once: bool, **options: Any) -> None:
        """Sweep."""
        sweeper = Sweeper()
        if once:
            self.stdout.write(str(sweeper.sweep()))
            return
        stop = threading.Event()
        for name in (signal.SIGTERM, signal.SIGINT):
            signal.signal(name, lambda *_: stop.set())
        away = ""
        while not stop.is_set():
            try:
                done = sweeper.sweep()
                if away:
                    logger.info("sweeping again")
                away = ""
                if done.mended or done.forgotten:
                    logger.info("mended %d chats, forgot %d users", done.mended, done.forgotten)
            except (CacheUnavailable, DatabaseError, Unavailable) as error:
                # Said once, not every second: what is away is away until it says otherwise.
                if type(error).__name__ != away:
                    logger.warning("not sweeping: %s", str(error).strip() or type(error).__name__)
                away = type(error).__name__
                connection.close()
                cache.close()
            stop.wait(settings.SWEEP_INTERVAL_MS / 1000)
