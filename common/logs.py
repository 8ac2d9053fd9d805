"""Lines of the log: for people, or as JSON for machines (LOG_FORMAT), each with whose work it is.

What a line never holds: texts of messages, tokens, passwords, cookies, query strings. Django's own
lines name a request by its path alone; of extra fields only those listed here are written; and
what a database driver says of the row at fault is taken off.

Django is not imported, since the web server's own lines look the same.
"""

from __future__ import annotations

import logging
import re
from time import gmtime, time
from types import TracebackType
from typing import Any

from pythonjsonlogger.orjson import OrjsonFormatter

from common import context

FIELDS = (
    "method",
    "status",
    "duration_ms",
    "statement",
    "report",
    "status_code",
)
"""The fields that a line may be given with `extra`, beside those of `common.context`."""
SHORT = {
    "request_id": "request",
    "user_id": "user",
    "task_id": "task",
    "run_id": "run",
    "trace_id": "trace",
}
PATH_MAX_CHARS = 200
"""How much of a path a line tells."""
SAMPLE_SECONDS, SAMPLE_LINES = 10.0, 20
"""So many lines about refused requests are written in so many seconds, by each process."""
LED_FROM, FAILED_FROM = 300, 500
# What PostgreSQL says of a row that it refused holds its values, a message's text among them.
_REQUESTS = logging.getLogger("django.request")
_ROW = re.compile(r"\b(?:DETAIL|CONTEXT|QUERY):")
_TIME = "%Y-%m-%dT%H:%M:%S"
_ExcInfo = tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]


def without_row(text: str) -> str:
    """Return a message less what a driver's error says of the row, which is its end."""
    # `search` for a bare word takes time in proportion to the text; white space is cut off after.
    if ("DETAIL:" in text or "CONTEXT:" in text) and (found := _ROW.search(text)):
        return text[: found.start()].rstrip()
    return text


def shortened(text: str) -> str:
    """Return a path as a line tells it: its beginning, where it is long."""
    return text if len(text) <= PATH_MAX_CHARS else f"{text[:PATH_MAX_CHARS]}…"


def traceback_of(text: str, error: BaseException | None) -> str:
    """Return a traceback less what the errors in its chain say of a row."""
    seen = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        told = str(error)
        if (kept := without_row(told)) != told:
            text = text.replace(told, kept)
        error = error.__cause__ or error.__context__
    return text


class Context(logging.Filter):
    """Adds to a record whose work it came from; cuts the paths that Django's records name."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Take every record."""
        record.context = context.shown()
        if record.name.startswith("django.") and isinstance(record.args, tuple):
            record.args = tuple(
                shortened(one) if isinstance(one, str) else one for one in record.args
            )
        return True


class Sample(logging.Filter):
    """Lets through a few of the lines that refused requests make, and says how many not.

    Who sends rubbish would else fill the log. `strata_requests_total` counts them all.
    """

    of = "refusals"

    def __init__(self) -> None:
        super().__init__()
        self._began = float("-inf")
        self._told = self._left_out = 0

    def filter(self, record: logging.LogRecord) -> bool:
        """Take the first lines of each span, and every one of a defect."""
        if not self.is_of_a_refusal(record):
            return True
        if record.created - self._began >= SAMPLE_SECONDS:
            left_out, self._left_out = self._left_out, 0
            self._began, self._told = record.created, 0
            if left_out:
                record.msg = f"{record.msg} ({left_out} more {self.of} before it are not told)"
        if self._told >= SAMPLE_LINES:
            self._left_out += 1
            return False
        self._told += 1
        return True

    def leaves_out(self) -> bool:
        """Say whether a line would be left out now; if so, it counts as one that was."""
        if self._told < SAMPLE_LINES or time() - self._began >= SAMPLE_SECONDS:
            return False
        self._left_out += 1
        return True

    def is_of_a_refusal(self, record: logging.LogRecord) -> bool:
        """Say whether Django's line is one of a 4xx, which anybody can cause."""
        return record.levelno == logging.WARNING


def refusal_is_told() -> bool:
    """Say whether Django is to write its line about one more refusal; what is not told is counted.

    For what would cost more to write down than to refuse.
    """
    return not any(isinstance(one, Sample) and one.leaves_out() for one in _REQUESTS.filters)


class StrangersSample(Sample):
    """The same of the access log: of requests without a user that end in a 3xx or 4xx."""

    def is_of_a_refusal(self, record: logging.LogRecord) -> bool:
        """Say whether it is one that anybody can cause as often as they like."""
        status: int = getattr(record, "status", 0)
        return LED_FROM <= status < FAILED_FROM and "user_id" not in context.shown()


class SlowSample(Sample):
    """The same of slow requests and statements that somebody without a user has caused."""

    of = "slow ones"

    def is_of_a_refusal(self, record: logging.LogRecord) -> bool:
        """Say whether it is one that anybody can cause as often as they like."""
        return context.current.request is not None and "user_id" not in context.shown()


class Line(logging.Formatter):
    """A line for people, with the ids at its end."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        """Return the line, less tracebacks."""
        line = without_row(super().formatMessage(record))
        known: dict[str, str] = getattr(record, "context", {})
        ids = " ".join(f"{SHORT.get(name, name)}={value}" for name, value in known.items())
        return f"{line} [{ids}]" if ids else line

    def formatException(self, ei: _ExcInfo) -> str:  # noqa: N802 - logging's name
        """Return a traceback, less rows."""
        return traceback_of(super().formatException(ei), ei[1])


class JSON(OrjsonFormatter):
    """A line for machines: one JSON object."""

    converter = staticmethod(gmtime)

    def __init__(self) -> None:
        super().__init__("%(message)s", timestamp="time")

    def add_fields(
        self, log_data: dict[str, Any], record: logging.LogRecord, message_dict: dict[str, Any]
    ) -> None:
        """Write what every line has, whose work it is, and those extra fields that are known."""
        log_data["time"] = f"{self.formatTime(record, _TIME)}.{int(record.msecs):03d}Z"
        log_data["level"] = record.levelname
        log_data["logger"] = record.name
        log_data["message"] = without_row(record.getMessage())
        log_data.update(getattr(record, "context", {}))
        for name in FIELDS:
            if name in record.__dict__:
                log_data[name] = record.__dict__[name]
        if record.exc_info and not record.exc_text:
            record.exc_text = self.formatException(record.exc_info)
        if record.exc_text:
            log_data["exception"] = record.exc_text
        log_data["process"] = record.process

    def formatException(self, ei: Any) -> str:  # noqa: N802 - logging's name
        """Return a traceback, less rows."""
        return traceback_of(logging.Formatter.formatException(self, ei), ei[1])


FORMATTERS = {"line": {"()": "common.logs.Line"}, "json": {"()": "common.logs.JSON"}}


def config(form: str, level: str) -> dict[str, Any]:
    """Return Django's LOGGING: everything to stderr, in one form."""
    quiet = {"level": "DEBUG" if level == "DEBUG" else "WARNING"}
    # At DEBUG these tell headers, bodies and parameters.
    discreet = {"level": "INFO" if level == "DEBUG" else level}
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "filters": {
            "context": {"()": "common.logs.Context"},
            "sample": {"()": "common.logs.Sample"},
            "strangers_sample": {"()": "common.logs.StrangersSample"},
            "slow_sample": {"()": "common.logs.SlowSample"},
        },
        "formatters": FORMATTERS,
        "handlers": {
            "stderr": {
                "class": "logging.StreamHandler",
                "formatter": form,
                "filters": ["context"],
            },
        },
        "root": {"handlers": ["stderr"], "level": level},
        "loggers": {
            # Django attaches handlers of its own; everything goes through the one above.
            "django": {"handlers": [], "propagate": True},
            "django.request": {"handlers": [], "propagate": True, "filters": ["sample"]},
            "strata.access": {"filters": ["strangers_sample"]},
            "strata.slow": {"filters": ["slow_sample"]},
            "django.server": {"handlers": [], "propagate": True},
            # A wrong Host header is its sender's fault, and could fill the log: the answer says it.
            "django.security.DisallowedHost": {"handlers": [], "propagate": False},
            # Three lines for every task, of which some run each minute; failures still show.
            "celery.beat": quiet,
            "celery.worker.strategy": quiet,
            "celery.app.trace": quiet,
            **dict.fromkeys(
                ("django.db.backends", "botocore", "boto3", "urllib3", "s3transfer", "kombu",
                 "amqp", "asyncio", "parso", "opentelemetry"),
                discreet,
            ),
        },
    }  # fmt: skip


def granian_config(form: str) -> dict[str, Any]:
    """Return what makes the web server's own lines look like ours."""
    handler = {
        "class": "logging.StreamHandler",
        "formatter": "generic",
        "filters": ["context"],
        "stream": "ext://sys.stdout",
    }
    own = {"handlers": ["console"], "propagate": False}
    return {
        "filters": {"context": {"()": "common.logs.Context"}},
        "formatters": {
            "generic": {"()": "common.logs.JSON" if form == "json" else "common.logs.Line"}
        },
        "handlers": {"console": handler, "access": handler},
        "loggers": {"_granian": own, "granian.access": own},
    }
