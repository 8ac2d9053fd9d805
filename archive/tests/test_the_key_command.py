"""`manage.py archive_key`: shows the ring, notes that it is kept elsewhere, makes the next one."""

import pytest

from archive.models import ArchiveKey
from archive.tests.world import command
from audit.models import Action, Entry
from common import archive_key

pytestmark = pytest.mark.django_db(transaction=True)


def test_it_shows_the_ring_and_says_to_keep_it(settings):
    done = command("archive_key", "--show")
    assert f"ARCHIVE_KEY={settings.ARCHIVE_KEY[0]}\n" in done.stdout
    assert "Keep this elsewhere" in done.stdout
    entry = Entry.objects.get(action=Action.KEY_SHOWN)
    assert entry.target_id == archive_key.current_id()
    assert settings.ARCHIVE_KEY[0] not in str(entry.__dict__)


def test_that_it_is_kept_elsewhere_is_recorded():
    assert "NOT confirmed" in command("archive_key").stdout
    assert command("archive_key", "--confirm").returncode == 0
    key = ArchiveKey.objects.get(pk=archive_key.current_id())
    assert key.confirmed_at is not None
    assert key.confirmed_by == Entry.objects.get(action=Action.KEY_KEPT).actor_name
    assert f"kept elsewhere since {key.confirmed_at:%Y-%m-%d}" in command("archive_key").stdout


def test_a_new_ring_has_a_new_key_before_the_old_ones(settings):
    line = command("archive_key", "--rotate").stdout.splitlines()[0]
    new, *old = line.removeprefix("ARCHIVE_KEY=").split(",")
    assert old == settings.ARCHIVE_KEY
    assert len(new) == 64
    said = command("archive_key", ARCHIVE_KEY=f"{new},{old[0]}").stdout.splitlines()
    assert said[0].startswith(f"{archive_key.id_of(new)}: signs")
    assert said[1].startswith(f"{archive_key.id_of(old[0])}: verifies")


def test_a_new_key_has_to_be_confirmed_anew(settings):
    command("archive_key", "--confirm")
    ring = f"another-key-for-tests-0123456789,{settings.ARCHIVE_KEY[0]}"
    said = command("archive_key", ARCHIVE_KEY=ring).stdout.splitlines()
    assert "NOT confirmed" in said[0]
    assert "kept elsewhere since" in said[1]


@pytest.mark.parametrize(
    ("ring", "said"),
    [
        ("short", "too short or too simple"),
        ("a" * 64, "too short or too simple"),
        ("the-same-key-twice-0123456789-abc,the-same-key-twice-0123456789-abc", "same key twice"),
        ("for-development-only-never-in-production-archive", "everyone knows"),
    ],
)
def test_a_bad_ring_is_refused_in_one_sentence(ring, said):
    done = command("archive_key", ARCHIVE_KEY=ring)
    assert done.returncode == 1
    assert said in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(("confirmed", "said"), [(False, "strata.W002"), (True, "strata.I001")])
def test_the_check_before_a_deployment_says_whether_it_is_kept(confirmed, said):
    if confirmed:
        command("archive_key", "--confirm")
    done = command("check", "--deploy")
    assert said in done.stderr + done.stdout
