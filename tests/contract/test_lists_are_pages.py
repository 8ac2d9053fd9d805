"""Lists are `{next, previous, results}` with links, each thing once."""

from functools import partial

import pytest

from tests.http import LIST_KEYS, Person, Server, at_once


@pytest.fixture(scope="module")
def popular(server: Server) -> Person:
    """Somebody with 130 groups, 130 blocks and 260 chats."""
    popular = server.person("popular")
    others = server.crowd(130)
    at_once([popular.group] * 130, threads=8)
    at_once([partial(other.send, popular, "x") for other in others], threads=8)
    at_once([partial(popular.block, other) for other in others], threads=8)
    return popular


@pytest.mark.parametrize(
    ("path", "key", "count"),
    [("/groups/", "group_id", 130), ("/blocks/", "user_id", 130), ("/chats/", "chat_id", 260)],
)
def test_pages_hold_each_thing_once(popular: Person, path: str, key: str, count: int) -> None:
    page = popular.get(path).ok()
    assert set(page) == LIST_KEYS
    assert page["previous"] is None
    assert page["next"].startswith(popular.server.base_url + path)
    ids = [thing[key] for thing in popular.walk(path)]
    assert len(ids) == len(set(ids)) == count


@pytest.mark.parametrize("path", ["/groups/", "/blocks/", "/chats/"])
def test_previous_leads_back(popular: Person, path: str) -> None:
    first = popular.get(path).ok()
    second = popular.get(first["next"]).ok()
    assert popular.get(second["previous"]).ok()["results"] == first["results"]


@pytest.mark.parametrize("path", ["/groups/", "/blocks/", "/chats/"])
def test_an_empty_list_is_a_list(server: Server, path: str) -> None:
    assert server.person().get(path).ok() == {"next": None, "previous": None, "results": []}


def test_members_of_a_large_group_are_pages_too(server: Server) -> None:
    owner = server.person("owner")
    others = server.crowd(150)
    group = owner.group(*others)
    assert group["member_count"] == 151
    ids = [m["user_id"] for m in owner.walk(f"/groups/{group['group_id']}/members/")]
    assert len(ids) == 151
    assert set(ids) == {owner.user_id, *(other.user_id for other in others)}


def test_links_of_a_list_are_of_no_use_to_others(popular: Person, eve: Person) -> None:
    link = popular.get("/groups/").ok()["next"]
    answer = eve.get(link)
    if answer.status == 200:
        assert answer.body["results"] == []
    else:
        answer.refused(404)
