"""/metrics is open until a setting says whom it is for."""

import pytest
from django.core.checks import run_checks
from django.test import Client

pytestmark = pytest.mark.django_db


def read(token=None, address="192.0.2.7", **headers):
    if token is not None:
        headers["HTTP_AUTHORIZATION"] = f"Bearer {token}"
    return Client().get("/metrics", REMOTE_ADDR=address, **headers)


def refused(response, status, code):
    assert response.status_code == status
    (error,) = response.json()["errors"]
    assert error["code"] == code
    assert b"strata_" not in response.content


def test_it_is_open_by_default(servers):
    assert read().status_code == 200


def test_a_token_opens_it_and_nothing_else_does(servers, settings):
    settings.METRICS_TOKEN = "a-long-token"
    assert read("a-long-token").status_code == 200
    for wrong in (None, "a-long-toke", "a-long-token2", "ä", ""):
        response = read(wrong)
        refused(response, 401, "not_authenticated")
        assert response["WWW-Authenticate"] == "Bearer"


def test_an_address_opens_it_and_a_header_that_claims_one_does_not(servers, settings):
    settings.METRICS_ALLOWED = ["198.51.100.0/24", "2001:db8::1"]
    for address in ("198.51.100.9", "2001:db8::1", "::ffff:198.51.100.9"):
        assert read(address=address).status_code == 200
    refused(read(), 403, "permission_denied")
    refused(read(HTTP_X_FORWARDED_FOR="198.51.100.9"), 403, "permission_denied")
    refused(read(address="nonsense"), 403, "permission_denied")


def test_nor_does_a_proxy_within_that_nobody_counts(servers, settings):
    settings.METRICS_ALLOWED = ["127.0.0.1"]
    assert read(address="127.0.0.1").status_code == 200
    for name in ("HTTP_X_FORWARDED_FOR", "HTTP_X_REAL_IP", "HTTP_VIA"):
        refused(read(address="127.0.0.1", **{name: "192.0.2.7"}), 403, "permission_denied")


def test_either_is_enough_where_both_are_set(servers, settings):
    settings.METRICS_TOKEN = "a-long-token"
    settings.METRICS_ALLOWED = ["198.51.100.0/24"]
    assert read("a-long-token").status_code == 200
    assert read(address="198.51.100.1").status_code == 200
    refused(read(), 401, "not_authenticated")


def test_what_is_no_address_is_a_mistake_in_the_settings(settings):
    settings.METRICS_ALLOWED = ["10.0.0.0/8", "everywhere"]
    (found,) = [error for error in run_checks() if error.id == "strata.E003"]
    assert "everywhere" in str(found)
