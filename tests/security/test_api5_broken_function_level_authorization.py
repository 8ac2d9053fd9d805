"""API5:2023. Functions of staff are staff's, and a method that is not offered does nothing."""

from typing import Any

import pytest

from tests.http import Person, Server

ADMIN_PATHS = [
    "/admin/", "/admin/accounts/user/", "/admin/accounts/user/add/", "/admin/accounts/block/",
    "/admin/accounts/token/", "/admin/messaging/chat/", "/admin/messaging/message/",
    "/admin/audit/entry/", "/admin/archive/purgerun/", "/admin/archive/drillrun/", "/admin/jsi18n/",
    "/admin/logout/", "/admin/password_change/", "/admin/autocomplete/", "/admin/auth/group/",
    "/admin/no-such-page/", "/admin/accounts/user/1/change/", "/admin/r/1/1/",
]  # fmt: skip


@pytest.mark.parametrize("path", ADMIN_PATHS)
def test_the_admin_is_shut_to_users(server: Server, ann: Person, path: str) -> None:
    for token in (None, ann.token):
        for method in ("GET", "POST"):
            answer = server.call(
                method, path, token=token, headers={"accept": "text/html"}, content=b"action=ban"
            )
            # A POST without the form's own secret is refused before anything is looked at.
            assert answer.status in {302, 403, 404, 405}, (method, answer)
            if answer.status == 302:
                # Who is not logged in is logged out already.
                at = "/admin/" if path == "/admin/logout/" else "/admin/login/"
                assert answer.headers["location"].startswith(at)


def test_the_admin_is_shut_to_a_user_who_is_logged_in_to_the_pages(server: Server) -> None:
    ann = server.person("ann", password="a long sentence")
    page = server.call("GET", "/browse/login/", headers={"accept": "text/html"})
    cookies = dict(
        part.partition(";")[0].split("=", 1) for part in page.headers.get_list("set-cookie")
    )
    csrf = (
        page.content.decode().partition('name="csrfmiddlewaretoken" value="')[2].partition('"')[0]
    )
    assert csrf
    entered = server.call(
        "POST",
        "/browse/login/",
        content=f"csrfmiddlewaretoken={csrf}&username={ann.username}&password=a+long+sentence".encode(),
        headers={
            "content-type": "application/x-www-form-urlencoded",
            "accept": "text/html",
            "cookie": "; ".join(f"{name}={value}" for name, value in cookies.items()),
            "referer": f"{server.base_url}/browse/login/",
        },
    )
    assert entered.status == 302, entered
    cookies |= dict(
        part.partition(";")[0].split("=", 1) for part in entered.headers.get_list("set-cookie")
    )
    session = {"cookie": "; ".join(f"{name}={value}" for name, value in cookies.items())}
    assert server.call("GET", "/users/me/", headers=session).ok()["username"] == ann.username
    for path in ADMIN_PATHS:
        answer = server.call("GET", path, headers={**session, "accept": "text/html"})
        assert answer.status in {302, 403, 404, 405}, (path, answer)


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "TRACE", "CONNECT", "PROPFIND", "X"])
def test_methods_that_are_not_offered_do_nothing(
    server: Server, ann: Person, operations: list[tuple[str, str, Any]], method: str
) -> None:
    for _, path, _ in operations:
        concrete = path.replace("{id}", ann.user_id).replace("{chat_id}", ann.user_id)
        for name, value in {"year": "2026", "day": "001", "hour": "00"}.items():
            concrete = concrete.replace("{" + name + "}", value)
        answer = server.call(method, concrete, token=ann.token)
        assert answer.status in {400, 404, 405, 501}, (method, concrete, answer)


def test_a_method_named_in_a_header_or_a_field_does_not_count(
    server: Server, ann: Person, ben: Person
) -> None:
    for name in ("x-http-method-override", "x-http-method", "x-method-override"):
        answer = server.call("GET", "/send_message", token=ann.token, headers={name: "POST"})
        answer.refused(405)
    server.call("GET", "/send_message", token=ann.token, params={"_method": "POST"}).refused(405)
    ann.get("/users/me/").ok()


def test_an_admin_of_a_group_is_no_owner(ann: Person, ben: Person, cid: Person) -> None:
    group = ann.group(ben, cid)
    ann.set_role(group, ben, "admin").ok()
    assert ben.set_role(group, ben, "owner").refused(403)["code"] == "role_too_low"
    assert ben.set_role(group, cid, "admin").refused(403)["code"] == "role_too_low"
    assert ben.remove(group, ann).refused(403)["code"] == "role_too_low"
    assert cid.add(group, ann.server.person()).refused(403)["code"] == "role_too_low"
