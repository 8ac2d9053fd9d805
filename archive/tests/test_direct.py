"""The short way to objects writes and reads what boto3's client would, and leaves the rest to it."""

import shutil
import subprocess

import pytest
from django.conf import settings

from archive.direct import PATIENT, Direct
from archive.hours import Packer
from archive.signatures import signed_metadata
from archive.store import ArchiveUnavailable, Changed, Missing, Store, patient
from archive.tests.proxy import bad_network
from archive.tests.world import read

KEY = "0196f0b0-0000-7000-8000-000000000001/2026/007/03/0196f0b0-0000-7000-8000-000000000002"


def packed(*lines: bytes):
    packer = Packer()
    packer.add(list(enumerate(lines, 1)))
    return packer.finish()


@pytest.fixture
def alone(monkeypatch):
    """A store whose client may not be asked: whatever comes, came the short way."""
    store = Store("archive", PATIENT)
    monkeypatch.setattr(Store, "client", property(lambda _: pytest.fail("the client was asked")))
    yield store
    monkeypatch.undo()


def test_an_object_is_what_any_client_reads(alone, monkeypatch):
    one = packed(b'{"seq":1}', b'{"seq":2}')
    etag = alone.put(KEY, one, replaces=None)
    found = alone.get(KEY)
    assert (found.etag, found.size, found.facts()) == (etag, one.size, one.facts)
    assert b"".join(found.chunks) == one.held
    other = packed(b'{"seq":1}')
    assert alone.put(KEY, other, replaces=etag) != etag
    assert b"".join(alone.get(KEY).chunks) == other.held
    monkeypatch.undo()
    seen = read(KEY)
    assert seen["raw"] == other.held
    assert seen["metadata"] == signed_metadata(KEY, other.facts, 1)
    assert (seen["type"], seen["encoding"]) == ("application/x-ndjson", "gzip")


def test_what_is_not_the_plain_right_answer_is_the_clients_to_tell():
    direct = Direct(PATIENT, lambda: "")
    assert direct.get(KEY) is None
    with pytest.raises(Missing):
        patient.get(KEY)
    patient.put(KEY, packed(b"1"), replaces=None)
    assert direct.put(KEY, b"another", {"If-None-Match": "*"}) is None
    with pytest.raises(Changed):
        patient.put(KEY, packed(b"2"), replaces=None)
    with pytest.raises(Changed):
        patient.put(KEY, packed(b"2"), replaces='"of another object"')
    assert read(KEY)["plain"] == b"1\n"


def test_a_wrong_key_and_a_server_that_is_away_are_no_answers(settings):
    patient.put(KEY, packed(b"1"), replaces=None)
    settings.S3_SECRET_ACCESS_KEY = "wrong"
    assert Direct(PATIENT, lambda: "").get(KEY) is None
    settings.S3_ENDPOINT_URL = "http://127.0.0.1:9"
    assert Direct(PATIENT, lambda: "").get(KEY) is None


def test_a_body_that_breaks_off_is_never_taken_for_the_whole(alone, monkeypatch):
    alone.put(KEY, packed(b"x" * 500), replaces=None)
    with bad_network(lambda method, _: "cut" if method == "GET" else None) as address:
        alone.direct.warm()
        monkeypatch.setattr(alone.direct, "_base", f"{address}/{settings.S3_BUCKET}")
        found = alone.get(KEY)
        with pytest.raises(ArchiveUnavailable):
            b"".join(found.chunks)


@pytest.fixture
def certificate(tmp_path, monkeypatch):
    """A certificate of an authority of its own, which AWS_CA_BUNDLE names."""
    openssl = shutil.which("openssl") or pytest.skip("needs openssl to make a certificate")
    file = tmp_path / "certificate.pem"
    subprocess.run(
        [openssl, "req", "-x509", "-nodes", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
         "-subj", "/CN=store", "-addext", "subjectAltName=IP:127.0.0.1",
         "-keyout", tmp_path / "key", "-out", tmp_path / "cert"],
        check=True,
        capture_output=True,
    )  # fmt: skip
    file.write_bytes((tmp_path / "key").read_bytes() + (tmp_path / "cert").read_bytes())
    monkeypatch.setenv("AWS_CA_BUNDLE", str(file))
    return file


def test_a_store_with_a_certificate_of_ones_own_authority_is_reached(certificate, settings):
    patient.put(KEY, packed(b"x" * 500), replaces=None)
    with bad_network(lambda *_: None, certificate=certificate) as settings.S3_ENDPOINT_URL:
        found = Direct(PATIENT, lambda: "").get(KEY)
        assert found is not None
        assert found.body.read() == packed(b"x" * 500).held


def test_a_tls_connection_that_is_cut_off_is_an_answer_that_breaks_off(
    certificate, settings, monkeypatch
):
    patient.put(KEY, packed(b"x" * 500), replaces=None)
    store = Store("archive", PATIENT)
    monkeypatch.setattr(Store, "client", property(lambda _: pytest.fail("the client was asked")))
    with bad_network(lambda *_: "cut", certificate=certificate) as settings.S3_ENDPOINT_URL:
        found = store.get(KEY)
        with pytest.raises(ArchiveUnavailable):
            b"".join(found.chunks)
