"""Whose request it is, whatever its headers claim."""

import logging

import pytest

from common import addresses
from common.addresses import UNKNOWN, client_address, comes_from, counted_as, is_within


def asked(peer="10.0.0.1", forwarded=None):
    meta = {"REMOTE_ADDR": peer}
    if forwarded is not None:
        meta["HTTP_X_FORWARDED_FOR"] = forwarded
    return client_address(meta)


@pytest.mark.parametrize(
    "forged", ["9.9.9.9", "9.9.9.9, 8.8.8.8", "127.0.0.1", "::1", "", "x", ","]
)
def test_without_proxies_the_header_changes_nothing(settings, forged):
    settings.TRUSTED_PROXIES = 0
    assert asked(forwarded=forged) == "10.0.0.1"


@pytest.mark.parametrize(
    "forged", ["9.9.9.9", "127.0.0.1", "::1", "", "x", ",,,", "1.1.1.1, 2.2.2.2"]
)
def test_what_the_client_wrote_before_the_proxies_entry_changes_nothing(settings, forged):
    settings.TRUSTED_PROXIES = 1
    assert asked(forwarded=f"{forged}, 203.0.113.7") == "203.0.113.7"
    settings.TRUSTED_PROXIES = 2
    assert asked(forwarded=f"{forged}, 203.0.113.7, 10.0.0.2") == "203.0.113.7"


def test_fewer_entries_than_proxies_are_all_ours(settings):
    settings.TRUSTED_PROXIES = 3
    assert asked(forwarded="203.0.113.7, 10.0.0.2") == "203.0.113.7"
    assert asked() == "10.0.0.1"


@pytest.mark.parametrize(
    ("entry", "address"),
    [
        ("203.0.113.7:4711", "203.0.113.7"),
        ("[2001:db8::1]:4711", "2001:db8::1"),
        ("[2001:db8::1]", "2001:db8::1"),
        ("2001:0DB8::0001", "2001:db8::1"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("fe80::1%eth0", "fe80::1"),
        ("unknown", "10.0.0.1"),
        ("_hidden", "10.0.0.1"),
        ("203.0.113.700", "10.0.0.1"),
    ],
)
def test_an_entry_may_have_a_port_or_be_nothing(settings, entry, address):
    settings.TRUSTED_PROXIES = 1
    assert asked(forwarded=entry) == address


def test_a_server_that_names_no_peer_is_one_unknown():
    assert client_address({}) == client_address({"REMOTE_ADDR": ""}) == UNKNOWN
    assert counted_as(UNKNOWN) == UNKNOWN


def test_an_ipv6_customer_is_counted_as_one():
    assert counted_as("2001:db8:1:2::1") == counted_as("2001:db8:1:2:ffff::") == "2001:db8:1:2::/64"
    assert counted_as("2001:db8:1:3::1") != counted_as("2001:db8:1:2::1")
    assert counted_as("203.0.113.7") == counted_as("::ffff:203.0.113.7") == "203.0.113.7"


def test_networks():
    assert is_within("127.0.0.1", ("127.0.0.1", "::1"))
    assert is_within("::1", ("127.0.0.1", "::1"))
    assert is_within("10.1.2.3", ("10.0.0.0/8",))
    assert not is_within("127.0.0.2", ("127.0.0.1", "::1"))
    assert not is_within(UNKNOWN, ("0.0.0.0/0",))


HERE = ("127.0.0.1", "::1")


@pytest.fixture
def warned(caplog):
    addresses._warn.cache_clear()
    caplog.set_level(logging.WARNING, logger="common.addresses")
    yield lambda: [record.getMessage() for record in caplog.records]
    addresses._warn.cache_clear()


def test_who_asks_from_here_comes_from_here(settings, warned):
    settings.TRUSTED_PROXIES = 0
    assert comes_from({"REMOTE_ADDR": "127.0.0.1"}, HERE)
    assert not comes_from({"REMOTE_ADDR": "10.0.0.1"}, HERE)
    assert not comes_from({}, HERE)
    assert warned() == []


@pytest.mark.parametrize("proxies", [0, 1])
@pytest.mark.parametrize(
    "handed_on",
    [
        {"HTTP_X_REAL_IP": "203.0.113.7"},
        {"HTTP_FORWARDED": "for=203.0.113.7"},
        {"HTTP_VIA": "1.1 proxy"},
        {"HTTP_X_FORWARDED_PROTO": "https"},
        {"HTTP_X_FORWARDED_FOR": ""},
        {"HTTP_X_FORWARDED_FOR": "unknown"},
    ],
)
def test_what_a_proxy_hands_on_without_telling_for_whom_comes_from_nowhere(
    settings, warned, proxies, handed_on
):
    settings.TRUSTED_PROXIES = proxies
    for _ in range(3):
        assert not comes_from({"REMOTE_ADDR": "127.0.0.1"} | handed_on, HERE)
    (said,) = warned()
    assert f"TRUSTED_PROXIES ({proxies})" in said


def test_nor_does_what_a_proxy_hands_on_that_nobody_counts(settings, warned):
    settings.TRUSTED_PROXIES = 0
    for claim in ("203.0.113.7", "127.0.0.1"):
        meta = {"REMOTE_ADDR": "127.0.0.1", "HTTP_X_FORWARDED_FOR": claim}
        assert not comes_from(meta, HERE)
    assert len(warned()) == 1


def test_a_proxy_that_is_counted_tells_who_asks(settings, warned):
    settings.TRUSTED_PROXIES = 1
    proxied = {"REMOTE_ADDR": "10.0.0.1", "HTTP_X_FORWARDED_PROTO": "https"}
    assert comes_from(proxied | {"HTTP_X_FORWARDED_FOR": "127.0.0.1"}, HERE)
    assert not comes_from(proxied | {"HTTP_X_FORWARDED_FOR": "127.0.0.1, 203.0.113.7"}, HERE)
    # As what asks it whether it is well does.
    assert comes_from({"REMOTE_ADDR": "127.0.0.1"}, HERE)
    assert warned() == []
