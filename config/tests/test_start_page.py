"""`GET /`: the routes for programs, a page that leads on for people. Open to all."""

import re

import pytest
from django.test import Client
from django.urls import resolve

from config.views import VERBS

HTML = "text/html,application/xhtml+xml,*/*;q=0.8"
SOME_ID = "01980f3e-7b1c-7c3a-9d55-0123456789ab"


@pytest.mark.django_db
@pytest.mark.parametrize("accept", ["*/*", "application/json", None])
def test_programs_get_the_url_of_each_route_by_name(client, accept):
    response = client.get("/", **({"HTTP_ACCEPT": accept} if accept else {}))
    assert response["Content-Type"] == "application/json"
    routes = response.json()
    for path in VERBS:
        assert routes[path[1:]] == f"http://testserver{path}"
    assert routes["messages"] == "http://testserver/chats/{id}/messages/"
    for url in routes.values():
        path = url.removeprefix("http://testserver").replace("{id}", SOME_ID)
        assert resolve(path).url_name != "unknown"


@pytest.mark.django_db
def test_people_get_a_page_whose_links_lead_somewhere(client):
    response = client.get("/", HTTP_ACCEPT=HTML)
    assert response["Content-Type"].startswith("text/html")
    page = response.content.decode()
    for path in VERBS:
        assert f'href="{path}"' in page
    for link in set(re.findall(r'href="(/[^"?]*)"', page)):
        status = client.get(link, HTTP_ACCEPT=HTML).status_code
        assert status in {200, 302, 401}, link


@pytest.mark.django_db
def test_a_bad_token_does_not_matter(client):
    assert client.get("/", HTTP_AUTHORIZATION="Bearer nonsense").status_code == 200


def test_only_reading_is_possible():
    response = Client().post("/", b"{}", content_type="application/json")
    assert response.status_code == 405
    assert response.json()["errors"][0]["code"] == "method_not_allowed"
    assert "GET" in response["Allow"]
