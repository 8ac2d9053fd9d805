"""Who does something: a user in a browser, a command, a task."""

import getpass
import hashlib
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from pathlib import PurePath
from typing import Any
from uuid import UUID

from celery._state import get_current_task
from django.http import HttpRequest

from audit.models import ActorKind
from common.addresses import client_address

_request: ContextVar[HttpRequest | None] = ContextVar("audit_request", default=None)


@dataclass(frozen=True, slots=True)
class Actor:
    """Who does something, and from where. `user` is set for a user alone, to ask their rights."""

    kind: ActorKind
    name: str
    id: UUID | None = None
    address: str = ""
    session: str = ""
    request_id: str = ""
    user: Any = field(default=None, compare=False, repr=False)


def current() -> Actor:
    """Return who is at work: the request's user, the task, else who runs this process."""
    request = _request.get()
    return process() if request is None else of_request(request)


def meta() -> Mapping[str, Any]:
    """Return what the server says of the request at work; nothing where there is none."""
    request = _request.get()
    return {} if request is None else request.META


def of_request(request: HttpRequest, user: Any = None) -> Actor:
    """Return the user of a request, or the one given; nobody where it has none."""
    who = user or getattr(request, "user", None)
    nobody = Actor(
        ActorKind.NOBODY,
        "",
        address=address_of(request),
        session=session_of(request),
        request_id=str(getattr(request, "request_id", "") or "")[:64],
    )
    if who is None or not who.is_authenticated:
        return nobody
    return replace(nobody, kind=ActorKind.USER, name=str(who.get_username()), id=who.pk, user=who)


def process() -> Actor:
    """Return the task that is running, or the system's user who runs this process."""
    task: Any = get_current_task()
    if task is not None:
        return Actor(ActorKind.TASK, str(task.name))
    return Actor(ActorKind.COMMAND, system_user())


def system_user() -> str:
    """Return the name of the system's user, and of the one who became it by sudo."""
    try:
        name = getpass.getuser()
    except (OSError, KeyError):
        name = str(os.getuid())
    before = os.environ.get("SUDO_USER", "")
    return f"{name} (sudo by {before})" if before and before != name else name


def command_line() -> str:
    """Return what was typed to start this process, without the folders."""
    return " ".join([PurePath(sys.argv[0]).name, *sys.argv[1:]])


def address_of(request: HttpRequest) -> str:
    """Return the address that a request comes from."""
    return client_address(request.META)[:45]


def session_of(request: HttpRequest) -> str:
    """Return a short digest of the request's session: it names it and opens nothing."""
    key = getattr(getattr(request, "session", None), "session_key", None)
    return hashlib.sha256(key.encode()).hexdigest()[:16] if key else ""


@contextmanager
def acting(request: HttpRequest) -> Iterator[None]:
    """Have `current` return this request's user meanwhile."""
    token = _request.set(request)
    try:
        yield
    finally:
        _request.reset(token)
