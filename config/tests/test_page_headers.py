"""What every answer tells a browser: load nothing foreign, run nothing inline, guess no types."""

import re

import pytest
from django.contrib.auth import get_user_model
from django.test import Client

HTML = "text/html,application/xhtml+xml,*/*;q=0.8"
PAGES = ["/", "/docs/", "/register", "/send_message", "/browse/login/", "/admin/login/", "/nowhere"]
SIGNED_IN = ["/chats/", "/users/me/", "/admin/", "/admin/accounts/user/"]


def policy(response):
    """Return the policy's directives."""
    header = response.headers["Content-Security-Policy"]
    parts = (part.split() for part in header.split(";"))
    return {name: sources for name, *sources in parts}


@pytest.fixture
def superuser(db):
    client = Client()
    client.force_login(get_user_model().objects.create_superuser("root", password="long-enough-7"))
    return client


def pages(client, superuser):
    return {path: client.get(path, HTTP_ACCEPT=HTML) for path in PAGES} | {
        path: superuser.get(path, HTTP_ACCEPT=HTML) for path in SIGNED_IN
    }


@pytest.mark.django_db
def test_no_page_may_run_what_somebody_wrote_into_it(client, superuser):
    for path, response in pages(client, superuser).items():
        found = policy(response)
        assert found["default-src"] == ["'none'"], path
        assert found["base-uri"] == found["frame-ancestors"] == ["'none'"], path
        assert found["form-action"] == ["'self'"], path
        sources = {source for name in found for source in found[name]}
        assert "'unsafe-inline'" not in sources, path
        assert not {source for source in sources if "*" in source or "http" in source}, path
        assert "'unsafe-eval'" not in sources, path
        assert found.get("script-src", ["'self'"]) == ["'self'"], path
        if not path.startswith(("/admin/", "/docs/")):
            assert "script-src" not in found, path


@pytest.mark.django_db
def test_no_page_has_a_script_or_style_that_its_policy_would_stop(client, superuser):
    for path, response in pages(client, superuser).items():
        page = response.content.decode()
        for attributes in re.findall(r"<(?:script|style)\b([^>]*)>", page):
            assert re.search(r'\b(src|nonce)="[^"]', attributes) or 'type="application/json"' in (
                attributes
            ), (path, attributes)
        assert not re.search(r"<[^>]*\s(on[a-z]+|style)=", page), path


@pytest.mark.django_db
def test_every_page_has_the_other_headers(client, superuser):
    for path, response in pages(client, superuser).items():
        headers = response.headers
        assert headers["X-Content-Type-Options"] == "nosniff", path
        assert headers["X-Frame-Options"] == "DENY", path
        assert headers["Referrer-Policy"] == "same-origin", path
        assert headers["Cross-Origin-Opener-Policy"] == "same-origin", path
        assert "camera=()" in headers["Permissions-Policy"], path


@pytest.mark.django_db
def test_the_documentation_s_script_is_a_file_of_its_own(client):
    page = client.get("/docs/", HTTP_ACCEPT=HTML).content.decode()
    scripts = re.findall(r'<script src="([^"]+)"', page)
    assert len(scripts) == 3
    script = client.get(scripts[-1].replace("&amp;", "&"))
    assert script["Content-Type"].startswith("application/javascript")
    assert "SwaggerUIBundle(" in script.content.decode()


def test_programs_answers_name_their_type_for_good(live_stack):
    import httpx

    with httpx.Client(base_url=live_stack.base_url) as http:
        token = http.post("/register", json={"username": "headers"}).json()["token"]
        sender = {"Authorization": f"Bearer {token}"}
        for response in (
            http.post("/get_messages", json={}, headers=sender),
            http.post("/get_messages", json={"cursor": "x"}, headers=sender),
            http.get("/chats/", headers=sender),
            http.get("/chats/", headers={"Authorization": "Bearer nonsense"}),
            http.get("/nowhere", headers=sender),
            http.get("/healthz", headers=sender),
            http.get("/schema/", headers=sender),
        ):
            assert response.headers["X-Content-Type-Options"] == "nosniff", response.url
