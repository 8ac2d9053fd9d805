"""Six write, twelve poll, members come and go, and parts fail: everything arrives once, in order."""

import os
import random
import signal
import time
from collections.abc import Callable

import pytest

from tests.faults.soak import Soak
from tests.faults.stage import Stage

pytestmark = pytest.mark.soak

# Of each; `make soak` gives all of it longer.
SECONDS = float(os.environ.get("SOAK_SECONDS", "3"))
Fault = Callable[[Stage, random.Random], None]


def nothing(stage: Stage, chance: random.Random) -> None:
    time.sleep(0.5)


def flushed(stage: Stage, chance: random.Random) -> None:
    time.sleep(0.2 + chance.random())
    stage.flush()


def workers_killed(stage: Stage, chance: random.Random) -> None:
    time.sleep(0.5 + chance.random())
    stage.kill_workers()


def cache_frozen(stage: Stage, chance: random.Random) -> None:
    with stage.paused("valkey"):
        time.sleep(chance.choice((0.05, 0.15, 0.5, 3.0)))
    time.sleep(chance.random())


def cache_killed(stage: Stage, chance: random.Random) -> None:
    stage.stack.kill("valkey")
    stage.wait_for_cache()
    time.sleep(chance.random())


def cache_full(stage: Stage, chance: random.Random) -> None:
    stage.limit_memory(chance.choice(("noeviction", "allkeys-random")))
    time.sleep(1 + chance.random())
    stage.free_memory()
    time.sleep(chance.random())


def sweeper_killed(stage: Stage, chance: random.Random) -> None:
    stage.stack.kill("sweeper")
    with stage.paused("valkey"):
        time.sleep(0.2)
    time.sleep(chance.random())


def sweeper_frozen(stage: Stage, chance: random.Random) -> None:
    with stage.paused("sweeper"):
        time.sleep(chance.choice((1.0, 5.0)))
        with stage.paused("valkey"):
            time.sleep(0.2)
        time.sleep(1.0)


def database_restarted(stage: Stage, chance: random.Random) -> None:
    chance.choice((stage.stack.kill, lambda name: os.kill(stage.stack.pid(name), signal.SIGINT)))(
        "postgres"
    )
    stage.wait_for_service()
    time.sleep(1 + chance.random())


def killed_with_the_cache_frozen(stage: Stage, chance: random.Random) -> None:
    with stage.paused("valkey"):
        time.sleep(0.08)
        stage.kill_workers()
    time.sleep(0.5 + chance.random())


FAULTS: list[Fault] = [
    nothing,
    flushed,
    workers_killed,
    cache_frozen,
    cache_killed,
    cache_full,
    sweeper_killed,
    sweeper_frozen,
    killed_with_the_cache_frozen,
    database_restarted,
]


@pytest.mark.timeout(600)
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_everything_arrives_once_with(stage: Stage, fault: Fault) -> None:
    Soak(stage, SECONDS).run(lambda chance: fault(stage, chance))


@pytest.mark.timeout(3600)
def test_everything_arrives_once_with_all_faults_in_turn(stage: Stage) -> None:
    Soak(stage, 5 * SECONDS).run(lambda chance: chance.choice(FAULTS)(stage, chance))
