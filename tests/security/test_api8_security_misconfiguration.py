"""API8:2023. What every answer says to a browser, and what none of them tells an attacker."""

import pytest

from tests.http import Person, Server

PAGES = ["/", "/docs/", "/admin/login/?next=/admin/", "/browse/login/", "/send_message", "/nowhere"]
HTML = {"accept": "text/html,application/xhtml+xml"}


@pytest.mark.parametrize("path", PAGES)
def test_pages_run_no_script_but_ours_and_are_framed_by_nobody(server: Server, path: str) -> None:
    answer = server.call("GET", path, headers=HTML)
    policy = answer.headers["content-security-policy"]
    assert "unsafe-inline" not in policy
    assert "unsafe-eval" not in policy
    parts = (part.strip().partition(" ") for part in policy.split(";"))
    directives = {name: rest for name, _, rest in parts}
    assert directives["default-src"] in {"'none'", "'self'"}
    assert directives["frame-ancestors"] == "'none'"
    assert directives["base-uri"] in {"'none'", "'self'"}
    assert "object-src" not in directives or directives["object-src"] == "'none'"
    for rest in directives.values():
        assert "*" not in rest
        assert "http" not in rest
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["x-frame-options"] == "DENY"
    assert answer.headers["referrer-policy"] in {"same-origin", "no-referrer"}
    assert "permissions-policy" in answer.headers


def test_answers_to_programs_are_never_taken_for_something_else(
    server: Server, ann: Person
) -> None:
    for answer in (ann.get("/users/me/"), ann.poll(), ann.get("/nowhere"), server.get("/chats/")):
        assert answer.headers["content-type"].startswith("application/json")
        assert answer.headers["x-content-type-options"] == "nosniff"


def test_no_other_origin_may_read_an_answer(server: Server, ann: Person) -> None:
    for method in ("GET", "OPTIONS"):
        answer = server.call(
            method,
            "/users/me/",
            token=ann.token,
            headers={
                "origin": "https://evil.example",
                "access-control-request-method": "POST",
                "access-control-request-headers": "authorization",
            },
        )
        assert not [name for name in answer.headers if name.startswith("access-control-")]


@pytest.mark.parametrize(
    "path",
    [
        "/static/../manage.py", "/static/%2e%2e/manage.py", "/static/..%2f..%2fetc/passwd",
        "/static/common/../../settings.py", "/.env", "/.git/config", "/env", "/.local/env",
        "/manage.py", "/config/settings.py", "/static/", "/static/admin/", "/server-status",
        "/debug/", "/__debug__/", "/console", "/actuator", "/phpinfo.php",
    ],
)  # fmt: skip
def test_no_file_is_served_but_static_ones(server: Server, path: str) -> None:
    assert server.call("GET", path).status in {400, 404}


def test_errors_show_nothing_of_the_inside(server: Server, ann: Person) -> None:
    for answer in (
        server.call("GET", "/nowhere", headers=HTML),
        server.call("POST", "/send_message", token=ann.token, content=b"{"),
        server.call("POST", "/send_message", token=ann.token, content=b'{"recipient_id": {}}'),
        server.call("GET", "/chats/'\"><script>alert(1)</script>/", headers=HTML),
        server.call("GET", "/chats/?cursor='\"><script>alert(1)</script>", headers=HTML),
    ):
        assert 400 <= answer.status < 500, answer
        text = answer.content.decode()
        for inside in ("Traceback", 'File "', "site-packages", "psycopg", "DJANGO_", "SECRET"):
            assert inside not in text
        assert "<script>alert" not in text


def test_a_session_cookie_is_out_of_reach_of_scripts_and_other_sites(server: Server) -> None:
    ann = server.person("ann", password="a long sentence")
    page = server.call("GET", "/browse/login/", headers=HTML)
    csrf = (
        page.content.decode().partition('name="csrfmiddlewaretoken" value="')[2].partition('"')[0]
    )
    cookie = page.headers["set-cookie"].partition(";")[0]
    entered = server.call(
        "POST",
        "/browse/login/",
        content=f"csrfmiddlewaretoken={csrf}&username={ann.username}&password=a+long+sentence".encode(),
        headers={
            **HTML,
            "content-type": "application/x-www-form-urlencoded",
            "cookie": cookie,
            "referer": f"{server.base_url}/browse/login/",
        },
    )
    [session] = [line for line in entered.headers.get_list("set-cookie") if "sessionid" in line]
    assert "HttpOnly" in session
    assert "SameSite=Lax" in session or "SameSite=Strict" in session


def test_a_form_of_another_site_does_nothing(server: Server, ann: Person) -> None:
    for path in ("/browse/login/", "/admin/login/"):
        answer = server.call(
            "POST",
            path,
            content=b"username=a&password=b",
            headers={**HTML, "content-type": "application/x-www-form-urlencoded"},
        )
        assert answer.status == 403, answer
