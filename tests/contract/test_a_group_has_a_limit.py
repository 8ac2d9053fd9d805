"""409 `group_full` past GROUP_MAX_MEMBERS, on a stack of its own whose limit is low."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from config.stack.folder import some_free_port
from config.stack.live import LiveStack
from tests.contract.test_groups import members
from tests.http import Server, at_once


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder: Path = tmp_path_factory.mktemp("small")
    # PostgreSQL may run as another user than we do.
    for part in (folder, *folder.parents):
        if (
            part.owner() == Path.home().owner()
            and part != Path("/")
            and part.is_relative_to("/tmp")
        ):
            part.chmod(part.stat().st_mode | 0o011)
    with LiveStack(
        folder / "data", some_free_port(), {"GROUP_MAX_MEMBERS": "4", "FANOUT_MAX_MEMBERS": "2"}
    ) as stack:
        server = Server(stack.base_url)
        yield server
        server.close()


def test_one_past_the_limit_is_refused(small: Server) -> None:
    owner, *others = small.people("owner", "b", "c", "d", "e")
    group = owner.group(*others[:2])
    owner.add(group, others[2]).ok(201)
    owner.add(group, others[3]).refused(409, "group_full")
    owner.add(group, others[2]).ok(200)
    assert len(members(owner, group)) == 4
    end = owner.history(group["group_id"])[-1]["seq"]
    owner.remove(group, others[0]).ok(200)
    owner.add(group, others[3]).ok(201)
    assert owner.history(group["group_id"])[-1]["seq"] == end + 2


def test_too_many_named_at_the_start_are_refused(small: Server) -> None:
    owner, *others = small.people("owner", "b", "c", "d", "e")
    assert owner.create_group("x", others[:3]).ok(201)["member_count"] == 4
    answer = owner.create_group("x", others)
    assert answer.status in {400, 409}, answer
    answer.problem()
    assert len(list(owner.walk("/groups/"))) == 1
    assert list(others[3].walk("/groups/")) == []


def test_of_many_at_once_no_more_than_fit_get_in(small: Server) -> None:
    owner, *others = small.people("owner", *"bcdefghi")
    group = owner.group()
    answers = at_once([partial(owner.add, group, other) for other in others])
    assert sorted(answer.status for answer in answers) == [201] * 3 + [409] * 5
    assert len(members(owner, group)) == 4


def test_a_group_that_outgrows_the_fan_out_loses_nothing(small: Server) -> None:
    """Past FANOUT_MAX_MEMBERS members are not told one by one any more."""
    owner, *others = small.people("owner", "b", "c", "d")
    group = owner.group()["group_id"]
    followers = [person.follow() for person in (owner, *others)]
    for follower in followers:
        follower.until_quiet()
    for other in others:
        owner.add(group, other).ok(201)
        owner.send_group(group, "x").ok(201)
        for follower in followers:
            follower.until_quiet()
    owner.remove(group, others[0]).ok(200)
    owner.send_group(group, "y").ok(201)
    owner.remove(group, others[1]).ok(200)
    owner.send_group(group, "z").ok(201)
    owner.add(group, others[0]).ok(201)
    for follower in followers:
        follower.until_quiet()
        assert follower.got[group] == follower.person.history(group)
