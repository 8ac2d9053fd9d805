"""Every setting that the environment can give: name, type, unit, default, one sentence.

`config/settings.py` reads its values through these declarations, and `docs/settings.md` is
written from them by `python -m config.options --write` (`--check` fails when it has drifted).
Django is not imported here, so that the local stack can read its options and start fast.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, MutableMapping
from dataclasses import dataclass
from ipaddress import ip_network
from pathlib import Path
from typing import Any, Final, Generic, TypeVar, cast

from environs import Env, EnvError

from common.numbers import whole_number

BASE_DIR: Final = Path(__file__).resolve().parent.parent
PAGE: Final = BASE_DIR / "docs" / "settings.md"

# What SECRET_KEY is when DEBUG is on and none is given; production refuses it.
DEVELOPMENT_SECRET_KEY: Final = "for-development-only-never-in-production"  # noqa: S105
SECRET_KEY_MIN_CHARS: Final = 50
# What ARCHIVE_KEY is when DEBUG is on and none is given.
DEVELOPMENT_ARCHIVE_KEY: Final = "for-development-only-never-in-production-archive"
ARCHIVE_KEY_MIN_CHARS: Final = 32
# What follows the name of a secret's variable to make the name of the variable that names its file.
FILE: Final = "_FILE"

# The largest number of each unit that a setting takes: times of 100 years, with which a computer
# still reckons, and what fits into four bytes.
LARGEST: Final = 2**31 - 1
HIGHEST: Final = {"days": 36_500, "hours": 876_000, "minutes": 52_560_000}

T = TypeVar("T")
Parser = Callable[[Env, str], T]

SECTIONS: dict[str, list[Option[Any]]] = {}


@dataclass(frozen=True, slots=True)
class Option(Generic[T]):
    """One setting: how it is called, what it holds, and what it is when nobody sets it."""

    name: str
    kind: str
    parse: Parser[T]
    default: T
    unit: str
    text: str
    # A secret may also come from a file, which the variable NAME_FILE names.
    secret: bool = False

    def read(self, env: Env) -> T:
        """Return the value that the environment gives; none and an empty one are the default."""
        if self.secret and (path := env.str(self.name + FILE, "")):
            return self._read_file(env, Path(path))
        return self.parse(env, self.name) if env.str(self.name, "") else self.default

    def _read_file(self, env: Env, path: Path) -> T:
        if env.str(self.name, ""):
            raise EnvError(f"{self.name} and {self.name}{FILE} are both set: keep one")
        text = file_text(self.name, path)
        value = text.replace(",", " ").split() if isinstance(self.default, list) else text
        return cast(T, value)


def file_text(name: str, path: Path) -> str:
    """Return what a secret's file holds, without white space around it; raise `EnvError`."""
    try:
        text = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8"
        raise EnvError(f"{name}{FILE} names {path}, which can't be read ({reason})") from error
    if not text:
        raise EnvError(f"{name}{FILE} names {path}, which is empty")
    return text


def take_files(environ: MutableMapping[str, str]) -> None:
    """Replace each secret's NAME_FILE by the NAME that it stands for; raise `EnvError`."""
    for section in SECTIONS.values():
        for option in section:
            if option.secret and environ.get(option.name + FILE) and not environ.get(option.name):
                path = Path(environ.pop(option.name + FILE))
                text = file_text(option.name, path)
                if isinstance(option.default, list):
                    text = ",".join(text.replace(",", " ").split())
                environ[option.name] = text


def _parse_text(env: Env, name: str) -> str:
    return str(env.str(name))


def _parse_flag(env: Env, name: str) -> bool:
    return bool(env.bool(name))


def _number_up_to(highest: int) -> Parser[int]:
    def parse(env: Env, name: str) -> int:
        text = str(env.str(name))
        number = whole_number(text)
        if number is None or not 0 <= number <= highest:
            raise EnvError(f"{name} is {text!r}: give a whole number from 0 to {highest}")
        return number

    return parse


def _parse_names(env: Env, name: str) -> list[str]:
    names: list[str] = env.list(name)
    return [part.strip() for part in names if part.strip()]


def _declare(section: str, option: Option[T]) -> Option[T]:
    SECTIONS.setdefault(section, []).append(option)
    return option


def _text(section: str, name: str, default: str, text: str, *, secret: bool = False) -> Option[str]:
    return _declare(section, Option(name, "text", _parse_text, default, "", text, secret))


def _flag(section: str, name: str, default: bool, text: str) -> Option[bool]:
    return _declare(section, Option(name, "bool", _parse_flag, default, "", text))


def _number(section: str, name: str, default: int, unit: str, text: str) -> Option[int]:
    highest = HIGHEST.get(unit, LARGEST)
    return _declare(section, Option(name, "int", _number_up_to(highest), default, unit, text))


def _names(
    section: str, name: str, default: list[str], text: str, *, secret: bool = False
) -> Option[list[str]]:
    return _declare(
        section,
        Option(name, "list", _parse_names, default, "commas", text, secret),
    )


_S = "Server"
DEBUG = _flag(_S, "DEBUG", False, "Show tracebacks to callers; never in production.")
SECRET_KEY = _text(
    _S,
    "SECRET_KEY",
    "",
    f"Signs cursors and sessions; without DEBUG at least {SECRET_KEY_MIN_CHARS} characters, else "
    "nothing starts. `make run` makes one and keeps it in `DATA_DIR`.",
    secret=True,
)
SECRET_KEY_FALLBACKS = _names(
    _S,
    "SECRET_KEY_FALLBACKS",
    [],
    "Keys that were SECRET_KEY before, or will be next: what they signed is good, nothing new is "
    "signed by them. "
    "A cursor may be kept for ever, so one stays here for as long as a client may come back.",
    secret=True,
)
HOST = _text(_S, "HOST", "127.0.0.1", "The address that the web server listens on.")
PORT = _number(_S, "PORT", 8000, "", "The port that the web server listens on.")
DATA_DIR = _text(
    _S,
    "DATA_DIR",
    ".local",
    "The folder of the local servers' data and of run-time files; from the checkout if relative.",
)
ALLOWED_HOSTS = _names(
    _S, "ALLOWED_HOSTS", [], "The host names that the server answers to; required without DEBUG."
)
CSRF_TRUSTED_ORIGINS = _names(
    _S,
    "CSRF_TRUSTED_ORIGINS",
    [],
    "Origins, with their scheme, whose pages may post with a session: `https://chat.example`.",
)
BODY_MAX_BYTES = _number(
    _S, "BODY_MAX_BYTES", 1_048_576, "bytes", "A larger request body is answered 413."
)
LOG_LEVEL = _text(
    _S, "LOG_LEVEL", "INFO", "The least severe line logged: DEBUG, INFO, WARNING, ERROR."
)
LOG_FORMAT = _text(
    _S, "LOG_FORMAT", "line", "How lines of the log look: `line`, for people, or `json`."
)
ACCESS_LOG = _text(
    _S,
    "ACCESS_LOG",
    "cold",
    "Which answers the log tells: `off`, `cold` (all but polls, sends, pages of messages, probes "
    "and files), `all`.",
)
SLOW_REQUEST_MS = _number(
    _S,
    "SLOW_REQUEST_MS",
    1000,
    "ms",
    "The log tells of a request that takes longer; 0 for none.",
)
SLOW_QUERY_MS = _number(
    _S,
    "SLOW_QUERY_MS",
    500,
    "ms",
    "The log tells of a statement that takes longer, without its parameters; 0 for none.",
)
TRUST_REQUEST_ID = _flag(
    _S,
    "TRUST_REQUEST_ID",
    False,
    "Take a request's id from its `X-Request-ID`; only where a proxy of yours always sets it.",
)

_O = "Watching it"
METRICS_TOKEN = _text(
    _O,
    "METRICS_TOKEN",
    "",
    "Who reads `/metrics` must send it as `Authorization: Bearer …`, unless METRICS_ALLOWED has "
    "their address.",
    secret=True,
)
METRICS_ALLOWED = _names(
    _O,
    "METRICS_ALLOWED",
    [],
    "Addresses and networks (`10.0.0.0/8`) that may read `/metrics`, the client's where "
    "TRUSTED_PROXIES tell it; "
    "with neither this nor METRICS_TOKEN everybody may.",
)
METRICS_DIR = _text(
    _O,
    "METRICS_DIR",
    "",
    "The folder in which web workers count together; if empty, each web server makes its own "
    "below `DATA_DIR/run`.",
)

OTEL_EXPORTER_OTLP_ENDPOINT = _text(
    _O,
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "",
    "Where traces are sent by OTLP over HTTP (`http://collector:4318`); if empty there are none. "
    "OpenTelemetry's other variables, such as `OTEL_TRACES_SAMPLER`, hold as well.",
)

_H = "HTTPS"
SECURE_SSL_REDIRECT = _flag(
    _H, "SECURE_SSL_REDIRECT", True, "Redirect plain HTTP to HTTPS, `/healthz`, `/readyz` aside."
)
SECURE_COOKIES = _flag(
    _H, "SECURE_COOKIES", True, "Send session and CSRF cookies over HTTPS alone."
)
SECURE_HSTS_SECONDS = _number(
    _H,
    "SECURE_HSTS_SECONDS",
    31_536_000,
    "seconds",
    "How long a browser is to insist on HTTPS, subdomains included; 0 says nothing.",
)
BEHIND_TLS_PROXY = _flag(
    _H,
    "BEHIND_TLS_PROXY",
    False,
    "Believe `X-Forwarded-Proto`; only where a proxy of yours always sets or strips it.",
)

TRUSTED_PROXIES = _number(
    _H,
    "TRUSTED_PROXIES",
    0,
    "proxies",
    "How many proxies of yours each request passes, every one of which adds to `X-Forwarded-For`: "
    "that many entries at its end are believed, and the first of those is the client; 0 believes "
    "none of it. `check --deploy` warns (`strata.W001`) of 0 where a proxy stands in front.",
)

_F = "The proxy in front"
PROXY_LISTEN = _names(
    _F,
    "PROXY_LISTEN",
    [],
    "Where nginx takes plain HTTP: `0.0.0.0:80`, `[::]:80`; none is HOST and PORT. With a "
    "certificate it only leads to HTTPS.",
)
PROXY_TLS_LISTEN = _names(
    _F, "PROXY_TLS_LISTEN", ["0.0.0.0:443"], "Where nginx takes HTTPS, where it has a certificate."
)
PROXY_TLS_CERTIFICATE = _text(
    _F, "PROXY_TLS_CERTIFICATE", "", "The file of its certificate, with those that signed it."
)
PROXY_TLS_KEY = _text(_F, "PROXY_TLS_KEY", "", "The file of the certificate's key.")
PROXY_ACME_FOLDER = _text(
    _F,
    "PROXY_ACME_FOLDER",
    "",
    "The folder that `certbot --webroot` answers challenges from, over plain HTTP.",
)
PROXY_WEBS = _names(
    _F,
    "PROXY_WEBS",
    [],
    "The web servers behind it: paths of sockets, or `host:port`; none is WEB_SOCKET's.",
)
PROXY_TRUSTED = _names(
    _F,
    "PROXY_TRUSTED",
    [],
    "Addresses and networks of proxies before nginx, whose `X-Forwarded-For` and `-Proto` it "
    "believes; of everybody else it believes neither.",
)
PROXY_INSIDE_LISTEN = _text(
    _F,
    "PROXY_INSIDE_LISTEN",
    "",
    "Where Prometheus gets each web server's own figures, `/web-1/metrics`: `127.0.0.1:9180`.",
)
DOWNLOADS_BY_PROXY = _flag(
    _F,
    "DOWNLOADS_BY_PROXY",
    False,
    "Have nginx get exports and large objects of the archive from the bucket; only behind "
    "`ops/nginx.conf`, which knows how.",
)
PROXY_CONNECTIONS = _number(
    _F, "PROXY_CONNECTIONS", 16_384, "connections", "The most that each process of nginx holds."
)
PROXY_CLIENT_SECONDS = _number(
    _F,
    "PROXY_CLIENT_SECONDS",
    30,
    "seconds",
    "How long nginx waits for a request's head, and for the next piece of its body.",
)
PROXY_SEND_SECONDS = _number(
    _F, "PROXY_SEND_SECONDS", 30, "seconds", "A client that takes nothing for so long is cut off."
)
PROXY_ANSWER_SECONDS = _number(
    _F, "PROXY_ANSWER_SECONDS", 60, "seconds", "How long nginx waits for a web server's answer."
)
PROXY_GRACE_SECONDS = _number(
    _F,
    "PROXY_GRACE_SECONDS",
    20,
    "seconds",
    "What requests under way may take when nginx stops or is reloaded.",
)
PROXY_FOLDER = _text(
    _F,
    "PROXY_FOLDER",
    "",
    "Where nginx keeps its configuration and unfinished bodies; if empty, `DATA_DIR/run/proxy`.",
)
PROXY_PROGRAM = _text(
    _F, "PROXY_PROGRAM", "", "The nginx to run; if empty, the machine's, else the wheel's."
)

_D = "Database"
DATABASE_URL = _text(
    _D,
    "DATABASE_URL",
    "postgres://strata@127.0.0.1:5432/strata",
    "The PostgreSQL database; given to `make run`, no PostgreSQL is started.",
    secret=True,
)
DB_TRANSACTION_TIMEOUT_MS = _number(
    _D,
    "DB_TRANSACTION_TIMEOUT_MS",
    5000,
    "ms",
    "PostgreSQL ends a transaction that takes longer, and a wait for a lock after four fifths of "
    "it; 0 for no limit, which `migrate` and other long commands take by themselves.",
)
DB_LOCK_TIMEOUT_MS = _number(
    _D,
    "DB_LOCK_TIMEOUT_MS",
    0,
    "ms",
    "The longest wait for a lock; 0 is four fifths of DB_TRANSACTION_TIMEOUT_MS. `migrate` takes "
    "3000 by itself: whoever waits for a table has everybody behind them wait too, and it may "
    "simply be run again.",
)

_C = "Cache and queue"
REDIS_URL = _text(
    _C,
    "REDIS_URL",
    "redis://127.0.0.1:6379/0",
    "The Valkey or Redis of cache and queue; given to `make run`, no Valkey is started.",
    secret=True,
)
QUEUE_URL = _text(
    _C,
    "QUEUE_URL",
    "",
    "The Valkey or Redis of the queue alone, where that is another; empty for REDIS_URL.",
    secret=True,
)
CACHE_TIMEOUT_MS = _number(
    _C, "CACHE_TIMEOUT_MS", 100, "ms", "A request waits no longer for one answer of the cache."
)
CACHE_BREAKER_MS = _number(
    _C,
    "CACHE_BREAKER_MS",
    1000,
    "ms",
    "After a failure the cache is left alone for this long, and the database answers.",
)
SWEEP_INTERVAL_MS = _number(
    _C,
    "SWEEP_INTERVAL_MS",
    1500,
    "ms",
    "How often the sweeper puts into the cache what a killed sender left out.",
)

_A = "Cold storage"
S3_ENDPOINT_URL = _text(
    _A,
    "S3_ENDPOINT_URL",
    "",
    "The S3 server, empty for Amazon's own; given to `make run`, no S3 server is started.",
)
S3_BUCKET = _text(_A, "S3_BUCKET", "strata", "The bucket of the archive.")
S3_ACCESS_KEY_ID = _text(
    _A, "S3_ACCESS_KEY_ID", "", "The key that may read and write the bucket.", secret=True
)
S3_SECRET_ACCESS_KEY = _text(_A, "S3_SECRET_ACCESS_KEY", "", "The secret of that key.", secret=True)
ARCHIVE_KEY = _names(
    _A,
    "ARCHIVE_KEY",
    [],
    "The key ring that signs what is written to the bucket, and that other keys are derived from: "
    f"the first key signs, older ones behind it verify; each at least {ARCHIVE_KEY_MIN_CHARS} "
    "random characters. A restore needs the bucket and this, so keep a copy elsewhere "
    "(`manage.py archive_key --show`). Without DEBUG nothing serves without one; `make run` makes "
    "one and keeps it in `DATA_DIR`.",
    secret=True,
)
S3_REGION = _text(_A, "S3_REGION", "us-east-1", "The region that requests are signed for.")
ARCHIVE_THREADS = _number(
    _A,
    "ARCHIVE_THREADS",
    3,
    "threads",
    "How many objects a run writes or reads at once. Three keep two cores busy with an S3 server "
    "beside them, and senders hardly notice; with one that takes 30 ms to answer, take ten times "
    "as many.",
)
ARCHIVE_CACHE_SECONDS = _number(
    _A,
    "ARCHIVE_CACHE_SECONDS",
    300,
    "seconds",
    "How long the cache keeps an object that somebody scrolled to.",
)

_M = "Messages"
HOT_MESSAGES_PER_CHAT = _number(
    _M,
    "HOT_MESSAGES_PER_CHAT",
    50,
    "messages",
    "X: the last messages of a chat that the cache keeps; at most DB_MESSAGES_PER_CHAT.",
)
HOT_BYTES_PER_CHAT = _number(
    _M,
    "HOT_BYTES_PER_CHAT",
    65_536,
    "bytes",
    "What the cache keeps of a chat ends at so many bytes too, with one message at least; the "
    "database answers for what is beyond.",
)
DB_MESSAGES_PER_CHAT = _number(
    _M,
    "DB_MESSAGES_PER_CHAT",
    1000,
    "messages",
    "Y: the last messages of a chat that never leave the database.",
)
ARCHIVE_RETENTION_DAYS = _number(
    _M,
    "ARCHIVE_RETENTION_DAYS",
    90,
    "days",
    "Z: how long cold storage keeps a message; 0 for ever.",
)
ACTIVE_WINDOW_SECONDS = _number(
    _M, "ACTIVE_WINDOW_SECONDS", 3600, "seconds", "A chat is active this long after its message."
)
GROUP_MAX_MEMBERS = _number(
    _M, "GROUP_MAX_MEMBERS", 1000, "members", "The most members that a group takes."
)
MESSAGE_MAX_CHARS = _number(
    _M, "MESSAGE_MAX_CHARS", 4096, "code points", "The longest text of a message."
)
FANOUT_MAX_MEMBERS = _number(
    _M,
    "FANOUT_MAX_MEMBERS",
    100,
    "members",
    "Up to this size a send tells each member's cache entry; members of larger groups ask.",
)
TOKEN_LIFETIME_DAYS = _number(
    _M, "TOKEN_LIFETIME_DAYS", 0, "days", "A token ends this long after login; 0 for never."
)
TOKENS_PER_USER = _number(
    _M,
    "TOKENS_PER_USER",
    100,
    "tokens",
    "The most tokens of one user: a login beyond ends the one that was used longest ago.",
)

_R = "Moderation"
OPEN_REPORTS_PER_USER = _number(
    _R,
    "OPEN_REPORTS_PER_USER",
    100,
    "reports",
    "The most reports of one user that wait for a decision.",
)
REPORT_TEXT_DAYS = _number(
    _R,
    "REPORT_TEXT_DAYS",
    30,
    "days",
    "A closed report keeps the message's text as it was reported this long.",
)
BREAK_GLASS_MINUTES = _number(
    _R,
    "BREAK_GLASS_MINUTES",
    60,
    "minutes",
    "A moderator who has given a reason may read a private chat this long.",
)

ADMIN_REQUIRE_SECOND_FACTOR = _flag(
    _H,
    "ADMIN_REQUIRE_SECOND_FACTOR",
    False,
    "Let nobody into the admin without a code of their phone; who has none set up is led to do so.",
)

_L = "Limits"
LIMIT_FREE_ADDRESSES = _names(
    _L,
    "LIMIT_FREE_ADDRESSES",
    ["127.0.0.1", "::1"],
    "Addresses and networks (`10.0.0.0/8`) that no limit holds for, but that of failed logins by a "
    "name; `none` for none.",
)
LIMIT_SENDS_PER_MINUTE = _number(
    _L, "LIMIT_SENDS_PER_MINUTE", 300, "a user", "Messages; as all below, 0 for no limit."
)
LIMIT_POLLS_PER_MINUTE = _number(
    _L, "LIMIT_POLLS_PER_MINUTE", 600, "a user", "`get_messages`, of all of a user's devices."
)
LIMIT_READS_PER_MINUTE = _number(
    _L, "LIMIT_READS_PER_MINUTE", 600, "a user", "History pages, lists and whatever else is read."
)
LIMIT_WRITES_PER_MINUTE = _number(
    _L, "LIMIT_WRITES_PER_MINUTE", 120, "a user", "Changes that have no limit of their own."
)
LIMIT_GROUPS_PER_HOUR = _number(_L, "LIMIT_GROUPS_PER_HOUR", 60, "a user", "New groups.")
LIMIT_ADDS_PER_HOUR = _number(
    _L,
    "LIMIT_ADDS_PER_HOUR",
    2000,
    "a user",
    "Users put into groups, by `add_user_to_group` and by `create_group`.",
)
LIMIT_NEW_USER_REACHES_PER_HOUR = _number(
    _L,
    "LIMIT_NEW_USER_REACHES_PER_HOUR",
    50,
    "a new user",
    "Users whom a new user opens a private chat with or puts into a group.",
)
NEW_USER_HOURS = _number(
    _L, "NEW_USER_HOURS", 24, "hours", "How long a user is new after registering."
)
LIMIT_REPORTS_PER_HOUR = _number(_L, "LIMIT_REPORTS_PER_HOUR", 30, "a user", "Reports.")
LIMIT_EXPORTS_PER_DAY = _number(_L, "LIMIT_EXPORTS_PER_DAY", 10, "a user", "Exports.")
LIMIT_DOWNLOADS_PER_MINUTE = _number(
    _L, "LIMIT_DOWNLOADS_PER_MINUTE", 120, "a user", "Downloads of the archive and of exports."
)
DOWNLOADS_PER_USER = _number(
    _L,
    "DOWNLOADS_PER_USER",
    4,
    "a user",
    "Downloads at a time; more are refused.",
)
DOWNLOAD_THREADS = _number(
    _L,
    "DOWNLOAD_THREADS",
    2,
    "threads",
    "How many threads of each web worker may send downloads at a time, where nginx does not.",
)
LIMIT_VISITS_PER_MINUTE = _number(
    _L, "LIMIT_VISITS_PER_MINUTE", 120, "an address", "Pages that are open to all."
)
LIMIT_REGISTRATIONS_PER_HOUR = _number(
    _L, "LIMIT_REGISTRATIONS_PER_HOUR", 30, "an address", "Attempts to register."
)
LIMIT_LOGIN_FAILURES_PER_HOUR = _number(
    _L, "LIMIT_LOGIN_FAILURES_PER_HOUR", 10, "a name from an address", "Failed logins."
)
LIMIT_LOGIN_FAILURES_PER_ADDRESS = _number(
    _L, "LIMIT_LOGIN_FAILURES_PER_ADDRESS", 100, "an address, in an hour", "Failed logins."
)
LIMIT_LOGIN_FAILURES_PER_NAME = _number(
    _L,
    "LIMIT_LOGIN_FAILURES_PER_NAME",
    100,
    "a name, in an hour",
    "Failed logins from addresses that the name never logged in from.",
)
LIMIT_LOGINS_PER_HOUR = _number(
    _L, "LIMIT_LOGINS_PER_HOUR", 20, "a name from an address", "Right logins; each costs a hash."
)
LIMIT_LOGINS_PER_ADDRESS = _number(
    _L,
    "LIMIT_LOGINS_PER_ADDRESS",
    120,
    "an address, in an hour",
    "Right logins. When they are used up, each login of a name that is known there counts as five "
    "of its own.",
)
LIMIT_LOGINS_PER_NAME = _number(
    _L,
    "LIMIT_LOGINS_PER_NAME",
    60,
    "a name, in an hour",
    "Right logins from addresses that the name never logged in from.",
)
LIMIT_CODES_PER_HOUR = _number(
    _L,
    "LIMIT_CODES_PER_HOUR",
    5,
    "a user from an address, and in a session",
    "Wrong codes of the second factor; recovery codes are counted apart.",
)
LIMIT_CODES_PER_USER = _number(
    _L,
    "LIMIT_CODES_PER_USER",
    50,
    "a user, in a day",
    "Wrong codes of six digits from addresses where the user never gave a right one.",
)

_P = "Processes"
WEB_WORKERS = _number(_P, "WEB_WORKERS", 2, "processes", "Web server processes.")
WEB_THREADS = _number(_P, "WEB_THREADS", 4, "threads", "Threads of each web server process.")
WEB_SOCKET = _text(
    _P,
    "WEB_SOCKET",
    "",
    "The Unix socket that the web server listens on in place of HOST and PORT; two, each with its "
    "own, behind a proxy, can be restarted in turn without a failed request.",
)
WEB_DRAIN_SECONDS = _number(
    _P,
    "WEB_DRAIN_SECONDS",
    0,
    "seconds",
    "How long a web server that is to stop goes on answering, its socket removed, so that a proxy "
    "sends what is new elsewhere.",
)
WEB_READER_SECONDS = _number(
    _P,
    "WEB_READER_SECONDS",
    30,
    "seconds",
    "How long a client may take nothing of its answer before its connection is cut, where the web "
    "server listens on HOST and PORT, on Linux; 0 is for ever. Behind a proxy that is the proxy's.",
)
WEB_GRACE_SECONDS = _number(
    _P,
    "WEB_GRACE_SECONDS",
    2,
    "seconds",
    "What requests under way may then take before the process is killed.",
)
WORKER_DRAIN_SECONDS = _number(
    _P,
    "WORKER_DRAIN_SECONDS",
    20,
    "seconds",
    "How long a worker that is to stop goes on with its tasks before it hands them back to the "
    "queue (`python -m config.process worker`).",
)
WORKER_CONCURRENCY = _number(_P, "WORKER_CONCURRENCY", 2, "processes", "Celery worker processes.")


def networks(names: list[str]) -> tuple[str, ...]:
    """Return a list of networks, empty for `none`; raises EnvError for what is no network."""
    found = tuple(name for name in names if name.lower() != "none")
    for name in found:
        try:
            ip_network(name, strict=False)
        except ValueError as error:
            raise EnvError(
                f"LIMIT_FREE_ADDRESSES: {name!r} is no address and no network"
            ) from error
    return found


def secret_key_problem(key: str) -> str:
    """Return why production can't start on this SECRET_KEY, as one sentence, or an empty text."""
    if not key:
        return "SECRET_KEY is not set: give a long random one, or set DEBUG=true on your machine."
    if key == DEVELOPMENT_SECRET_KEY or key.startswith("django-insecure-"):
        return "SECRET_KEY is a default that everyone knows: give a long random one of your own."
    if len(key) < SECRET_KEY_MIN_CHARS or len(set(key)) < 5:  # noqa: PLR2004 - as Django's check
        return (
            f"SECRET_KEY is too short or too simple: give at least {SECRET_KEY_MIN_CHARS} "
            "random characters."
        )
    return ""


def archive_key_problem(ring: list[str]) -> str:
    """Return why cold storage can't be signed with this ring, as one sentence, or an empty text."""
    for key in ring:
        if key == DEVELOPMENT_ARCHIVE_KEY:
            return "ARCHIVE_KEY is a default that everyone knows: give a long random one."
        if len(key) < ARCHIVE_KEY_MIN_CHARS or len(set(key)) < 5:  # noqa: PLR2004 - as SECRET_KEY
            return (
                "ARCHIVE_KEY has a key that is too short or too simple: give at least "
                f"{ARCHIVE_KEY_MIN_CHARS} random characters each."
            )
    if len(set(ring)) < len(ring):
        return "ARCHIVE_KEY has the same key twice."
    return ""


def page() -> str:
    """Return the whole text of docs/settings.md."""
    lines = [
        "# Settings",
        "",
        "Each is an environment variable. This page is written from `config/options.py` by",
        "`python -m config.options --write`; `make lint` fails when the two differ.",
        "",
        "A **secret** may come from a file instead, as container engines and systemd hand it over:",
        "`SECRET_KEY_FILE` names the file that holds `SECRET_KEY`. White space around it does not",
        "count; both variables at once are refused.",
    ]
    for section, options in SECTIONS.items():
        lines += ["", f"## {section}", "", "| name | type | default | meaning |"]
        lines += ["| --- | --- | --- | --- |"]
        lines += [_row(option) for option in options]
    return "\n".join(lines) + "\n"


def _row(option: Option[Any]) -> str:
    kind = f"{option.kind}, {option.unit}" if option.unit else option.kind
    shown = option.default
    if isinstance(shown, bool):
        shown = str(shown).lower()
    elif isinstance(shown, list):
        shown = ",".join(shown)
    if option.secret:
        kind += ", secret"
    default = f"`{shown}`" if shown != "" else "none"
    return f"| `{option.name}` | {kind} | {default} | {option.text} |"


def main(arguments: list[str]) -> int:
    """Write docs/settings.md, or check that it says what stands here."""
    if arguments == ["--write"]:
        PAGE.parent.mkdir(exist_ok=True)
        PAGE.write_text(page(), encoding="utf-8")
        return 0
    if arguments == ["--check"]:
        if PAGE.is_file() and PAGE.read_text(encoding="utf-8") == page():
            return 0
        sys.stderr.write("docs/settings.md has drifted: run python -m config.options --write\n")
        return 1
    sys.stderr.write("usage: python -m config.options --write | --check\n")
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
