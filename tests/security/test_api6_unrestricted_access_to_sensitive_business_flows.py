"""API6:2023. Reaching people is the flow that spammers want: new users reach few, the blocking none."""

from collections.abc import Iterator

import pytest

from config.stack.folder import some_free_port
from config.stack.live import LiveStack
from tests.http import Person, Server

REACHES = 3


@pytest.fixture(scope="module")
def wary(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server on which a new user may reach a few others an hour."""
    folder = tmp_path_factory.mktemp("wary")
    folder.chmod(0o711)
    folder.parent.chmod(0o711)
    limits = {"LIMIT_NEW_USER_REACHES_PER_HOUR": str(REACHES), "LIMIT_REGISTRATIONS_PER_HOUR": "0"}
    limits["LIMIT_FREE_ADDRESSES"] = "none"
    with LiveStack(folder / "stack", port=some_free_port(), settings=limits) as stack:
        server = Server(stack.base_url)
        yield server
        server.close()


def test_a_new_user_opens_few_chats_and_goes_on_in_those(wary: Server) -> None:
    spammer = wary.person("spammer")
    victims = wary.people(*["victim"] * (REACHES + 2))
    found = [spammer.send(victim, "buy!").status for victim in victims]
    assert found == [201] * REACHES + [429] * 2
    assert spammer.send(victims[0], "really").status == 201
    for victim in victims[REACHES:]:
        assert victim.poll().ok()["chats"] == []


def test_who_is_written_to_may_answer_all_of_them(wary: Server) -> None:
    popular = wary.person("popular")
    for fan in wary.people(*["fan"] * (REACHES + 2)):
        fan.send(popular, "hello").ok(201)
        assert popular.send(fan, "hello!").status == 201


def test_groups_are_no_way_around_it(wary: Server) -> None:
    spammer = wary.person("spammer")
    victims = wary.people(*["victim"] * (REACHES + 2))
    spammer.create_group("buy!", victims).refused(403, "too_many_at_once")
    group = spammer.create_group("buy!").ok(201)
    found = [spammer.add(group, victim).status for victim in victims]
    assert found == [201] * REACHES + [429] * 2


def test_a_new_account_does_not_get_past_a_block_of_the_old_ones_group(
    ann: Person, ben: Person
) -> None:
    ann.block(ben).ok(201)
    assert ben.send(ann, "x").refused(403)["code"] == "blocked"
    assert ben.create_group("x", [ann]).refused(403)["code"] == "blocked"
    assert ben.add(ben.group(), ann).refused(403)["code"] == "blocked"
    # A message sent before, repeated, is the old one: nothing new arrives.
    assert ann.poll().ok()["chats"] == []
