"""The budgets, counted at the servers: PostgreSQL's own log of statements, Valkey's own MONITOR."""

from __future__ import annotations

import contextlib
import re
import threading
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field

import psutil
import psycopg
import pytest
import redis

from config.stack.live import LiveStack
from tests.http import Person, Server

STATEMENT = re.compile(r"\[(\d+)\] LOG:  (?:statement|execute [^:]*): (.*)")


@dataclass
class Spent:
    """What the web workers asked of the servers."""

    statements: list[str] = field(default_factory=list)
    commands: list[str] = field(default_factory=list)

    @property
    def transactions(self) -> int:
        """Transactions, a statement on its own being one."""
        begun = sum(s.upper().startswith("BEGIN") for s in self.statements)
        return begun or len(self.statements)

    @property
    def queries(self) -> list[str]:
        """Statements but for those that only begin and end transactions."""
        ends = ("BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT", "RELEASE")
        return [s for s in self.statements if not s.upper().startswith(ends)]


class Meter:
    """Counts what reaches the servers from the processes that answer requests."""

    def __init__(self, stack: LiveStack) -> None:
        self.stack = stack
        environment = stack.environment()
        self.redis = redis.Redis.from_url(environment["REDIS_URL"])
        self.database = psycopg.connect(environment["DATABASE_URL"], autocommit=True)

    def close(self) -> None:
        self.redis.close()
        self.database.close()

    def web_ports(self) -> set[int]:
        """Return the local ports of the connections that the web workers hold."""
        return {
            connection.laddr.port
            for member in self.stack.family("web")
            for connection in member.net_connections("tcp")
            if connection.status == psutil.CONN_ESTABLISHED
        }

    def web_backends(self, ports: set[int]) -> set[int]:
        """Return PostgreSQL's processes that serve the web workers."""
        rows = self.database.execute("SELECT pid, client_port FROM pg_stat_activity").fetchall()
        return {pid for pid, port in rows if port in ports}

    def log(self) -> str:
        """Return what PostgreSQL has written, the file before the present one included."""
        folder = self.stack.data_dir / "log"
        return "".join(
            path.read_text(encoding="utf-8")
            for name in ("postgres.log.1", "postgres.log")
            if (path := folder / name).exists()
        )

    @contextlib.contextmanager
    def measure(self) -> Iterator[Spent]:
        """Count what is asked meanwhile."""
        spent = Spent()
        ports = self.web_ports()
        backends = self.web_backends(ports)
        mark = uuid.uuid4().hex
        seen: list[tuple[str, int, str]] = []
        started = threading.Event()

        def watch() -> None:
            with self.redis.monitor() as monitor:
                started.set()
                for command in monitor.listen():
                    if mark in command["command"]:
                        return
                    seen.append(
                        (
                            command["client_address"],
                            int(command["client_port"] or 0),
                            command["command"],
                        )
                    )

        self.database.execute(f"SELECT 'begin {mark}'")
        watcher = threading.Thread(target=watch, daemon=True)
        watcher.start()
        assert started.wait(5)
        yield spent
        self.redis.echo(mark)
        self.database.execute(f"SELECT 'end {mark}'")
        watcher.join(5)
        assert not watcher.is_alive()
        deadline = time.monotonic() + 5
        while f"end {mark}" not in (text := self.log()):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        text = text.partition(f"begin {mark}")[2].partition(f"end {mark}")[0]
        ports |= self.web_ports()
        backends |= self.web_backends(ports)
        for pid, statement in STATEMENT.findall(text):
            if int(pid) in backends:
                spent.statements.append(statement)
        spent.commands += [command for _, port, command in seen if port in ports]


@pytest.fixture(scope="module")
def meter(live_stack: LiveStack) -> Iterator[Meter]:
    meter = Meter(live_stack)
    meter.database.execute("ALTER SYSTEM SET log_statement = 'all'")
    meter.database.execute("SELECT pg_reload_conf()")
    deadline = time.monotonic() + 5
    while "all" not in str(meter.database.execute("SHOW log_statement").fetchone()):
        assert time.monotonic() < deadline
    yield meter
    meter.database.execute("ALTER SYSTEM RESET log_statement")
    meter.database.execute("SELECT pg_reload_conf()")
    meter.close()


REPEATS = 8
"""More than there are threads behind the server, so that each has met the request before."""


@pytest.fixture
def pair(server: Server) -> tuple[Person, Person]:
    ann, ben = server.people("ann", "ben")
    return ann, ben


def warm(ann: Person, ben: Person) -> str:
    """Let every worker connect, know both tokens and hold the chat; return a cursor of Ben's."""
    for n in range(20):
        ann.send(ben, f"warm {n}").ok(201)
        ben.poll().ok()
    cursor = ben.poll().ok()["cursor"]
    for _ in range(20):
        cursor = ben.poll(cursor).ok()["cursor"]
    return str(cursor)


def test_the_meter_counts(meter: Meter, pair: tuple[Person, Person]) -> None:
    """A first poll is known to ask both servers: a meter that sees nothing is broken."""
    ann, ben = pair
    warm(ann, ben)
    with meter.measure() as spent:
        ben.poll().ok()
    assert spent.queries
    assert spent.commands


def test_an_idle_poll_costs_no_statement_and_one_round_trip(
    meter: Meter, pair: tuple[Person, Person]
) -> None:
    ann, ben = pair
    cursor = warm(ann, ben)
    for _ in range(REPEATS):
        with meter.measure() as spent:
            assert ben.poll(cursor).ok()["chats"] == []
        assert spent.statements == []
        assert len(spent.commands) == 1, spent.commands


def test_so_does_one_in_a_hundred_chats_and_a_large_group(meter: Meter, server: Server) -> None:
    ben = server.person("ben")
    others = server.crowd(120)
    others[0].group(ben, *others[1:])
    for other in others[:100]:
        other.send(ben, "x").ok(201)
    cursor = ben.poll(limit=500).ok()["cursor"]
    for _ in range(20):
        cursor = ben.poll(cursor, 500).ok()["cursor"]
    for _ in range(REPEATS):
        with meter.measure() as spent:
            assert ben.poll(cursor).ok()["chats"] == []
        assert spent.statements == []
        assert len(spent.commands) == 1, spent.commands


@pytest.mark.parametrize("kind", ["private", "group", "large group"])
def test_a_poll_with_news_in_the_cache_costs_no_statement_and_two_round_trips(
    meter: Meter, server: Server, pair: tuple[Person, Person], kind: str
) -> None:
    ann, ben = pair
    cursor = warm(ann, ben)
    group = ann.group(ben, *(server.crowd(120) if kind == "large group" else []))
    for n in range(20):
        ann.send_group(group, f"{n}").ok(201)
        cursor = ben.poll(cursor).ok()["cursor"]
    for n in range(REPEATS):
        message = (
            ann.send(ben, f"{n}") if kind == "private" else ann.send_group(group, f"{n}")
        ).ok(201)
        with meter.measure() as spent:
            body = ben.poll(cursor).ok()
        assert [chat["messages"] for chat in body["chats"]] == [[message]]
        assert spent.statements == []
        assert 1 <= len(spent.commands) <= 2, spent.commands
        cursor = body["cursor"]


def check_send(spent: Spent) -> None:
    assert 1 <= len(spent.queries) <= 2, spent.statements
    assert spent.transactions == 1, spent.statements
    # One to tell, one to know who sends.
    assert 1 <= len(spent.commands) <= 2, spent.commands


@pytest.mark.parametrize("client_id", [False, True])
def test_a_send_to_a_private_chat_costs_one_transaction_and_one_round_trip(
    meter: Meter, pair: tuple[Person, Person], client_id: bool
) -> None:
    ann, ben = pair
    warm(ann, ben)
    for n in range(REPEATS):
        with meter.measure() as spent:
            ann.send(ben, "x", f"c{n}" if client_id else None).ok(201)
        check_send(spent)


@pytest.mark.parametrize("size", [3, 90, 150])
def test_a_send_to_a_group_costs_the_same_whatever_its_size(
    meter: Meter, server: Server, size: int
) -> None:
    people = server.crowd(size)
    group = people[0].group(*people[1:])
    for person in (people[0], people[1]):
        for _ in range(10):
            person.poll().ok()
            people[0].send_group(group, "x").ok(201)
    for _ in range(REPEATS):
        with meter.measure() as spent:
            people[0].send_group(group, "x").ok(201)
        check_send(spent)


def test_knowing_a_token_costs_no_statement(meter: Meter, pair: tuple[Person, Person]) -> None:
    ann, ben = pair
    warm(ann, ben)
    for _ in range(20):
        ann.get("/blocks/").ok()
    for _ in range(REPEATS):
        with meter.measure() as spent:
            ann.get("/blocks/").ok()
        assert not [s for s in spent.queries if "token" in s.lower()], spent.queries
        assert len(spent.queries) <= 1, spent.queries


def test_a_page_in_the_cache_costs_no_statement(meter: Meter, pair: tuple[Person, Person]) -> None:
    ann, ben = pair
    warm(ann, ben)
    chat = ann.send(ben, "x").ok(201)["chat_id"]
    ben.poll().ok()
    for _ in range(20):
        ben.messages(chat, limit=10).ok()
    for _ in range(REPEATS):
        with meter.measure() as spent:
            answer = ben.messages(chat, limit=10)
        assert answer.headers["x-served-from"] == "cache"
        assert spent.statements == []
