"""Where no route answers: the one error shape for programs, a page for browsers."""

import pytest
from django.contrib import admin
from django.core.exceptions import PermissionDenied, RequestDataTooBig, SuspiciousOperation
from django.db import OperationalError
from django.http import Http404
from django.test import Client, override_settings
from django.urls import path

from common import pages

BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"


def raising(error):
    def view(request):
        raise error

    return view


urlpatterns = [
    path("admin/", admin.site.urls),
    path("defect", raising(RuntimeError("a secret"))),
    path("forbidden", raising(PermissionDenied("a secret"))),
    path("missing", raising(Http404("a secret"))),
    path("odd", raising(SuspiciousOperation("a secret"))),
    path("large", raising(RequestDataTooBig("a secret"))),
    path("away", raising(OperationalError("a secret"))),
]
handler400 = pages.bad_request
handler403 = pages.permission_denied
handler404 = pages.not_found
handler500 = pages.server_error

CASES = [
    ("/defect", 500, "error"),
    ("/forbidden", 403, "permission_denied"),
    ("/missing", 404, "not_found"),
    ("/nowhere", 404, "not_found"),
    ("/odd", 400, "bad_request"),
    ("/large", 413, "body_too_large"),
    ("/away", 503, "database_unavailable"),
]

pytestmark = pytest.mark.urls(__name__)


@pytest.fixture
def client():
    return Client(raise_request_exception=False)


@pytest.mark.parametrize("accept", [None, "*/*", "application/json", "image/png", "text/plain"])
@pytest.mark.parametrize(("url", "status", "code"), CASES)
def test_programs_get_the_one_shape(client, url, status, code, accept):
    response = client.get(url, **({"HTTP_ACCEPT": accept} if accept else {}))
    assert response["Content-Type"] == "application/json"
    body = response.json()
    assert set(body) == {"type", "errors"}
    (error,) = body["errors"]
    assert (response.status_code, error["code"], error["attr"]) == (status, code, None)
    assert body["type"] == ("server_error" if status >= 500 else "client_error")
    assert error["detail"].endswith(".")
    assert b"secret" not in response.content


@pytest.mark.parametrize(("url", "status", "code"), CASES)
def test_browsers_get_a_page(client, url, status, code):
    response = client.get(url, HTTP_ACCEPT=BROWSER)
    assert response.status_code == status
    assert response["Content-Type"].startswith("text/html")
    assert b"<h1>" in response.content
    assert b"secret" not in response.content


def test_a_database_that_is_away_says_when_to_come_back(client):
    assert int(client.get("/away")["Retry-After"]) > 0
    assert "Retry-After" not in client.get("/defect")


def test_an_unknown_host_is_a_400_in_the_shape(client):
    with override_settings(ALLOWED_HOSTS=["elsewhere"]):
        response = client.get("/nowhere/", HTTP_HOST="bad host")
    assert response.status_code in {400, 404}
    assert response["Content-Type"] == "application/json"


@pytest.mark.parametrize("method", ["get", "post", "put", "delete", "options"])
def test_the_last_route_answers_every_method(rf, method):
    response = pages.unknown_path(getattr(rf, method)("/nowhere"))
    assert (response.status_code, response["Content-Type"]) == (404, "application/json")


@pytest.mark.django_db
@pytest.mark.urls("config.urls")
@pytest.mark.parametrize("accept", ["*/*", BROWSER])
def test_a_form_without_its_csrf_token_is_told_so(accept):
    client = Client(enforce_csrf_checks=True)
    response = client.post("/admin/login/", {"username": "x"}, HTTP_ACCEPT=accept)
    assert response.status_code == 403
    assert b"protection" in response.content
    assert response["Content-Type"].startswith(
        "text/html" if accept == BROWSER else "application/json"
    )
