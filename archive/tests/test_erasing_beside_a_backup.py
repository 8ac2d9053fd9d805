"""A user is erased while a backup that had begun before is about to write for them."""

import threading
from typing import Any

import pytest
from django.db import connection

from archive import backup as backups
from archive import erase
from archive.models import HourObject
from archive.tests.conftest import keys
from archive.tests.proxy import bad_network
from archive.tests.world import command, every, talk, told
from archive.verify import verify
from tests.core.people import Person

pytestmark = pytest.mark.django_db(transaction=True)


def test_nothing_of_theirs_is_left():
    ada, bob = Person("ada"), Person("bob")
    chat_id = talk(ada, bob, every(20, 3))
    before = told(bob, chat_id)
    about_to_write, go_on = threading.Event(), threading.Event()

    def hold_back(method: str, path: str) -> None:
        if method == "PUT" and f"/{ada.id}/" in path:
            about_to_write.set()
            go_on.wait(60)

    results: list[Any] = []

    def back_up(address: str) -> None:
        results.append(command("backup", "--json", S3_ENDPOINT_URL=address))

    def erase_ada() -> None:
        results.append(erase.erase_user(user_id=ada.id))
        connection.close()

    with bad_network(hold_back) as address:
        backing_up = threading.Thread(target=back_up, args=(address,))
        backing_up.start()
        assert about_to_write.wait(60)
        erasing = threading.Thread(target=erase_ada)
        erasing.start()
        # Time enough to be done, were it not to wait for that run.
        erasing.join(3)
        go_on.set()
        backing_up.join(60)
        erasing.join(60)
    assert len(results) == 2
    backups.backup()
    assert keys(f"{ada.id}/") == []
    assert not HourObject.objects.filter(user=ada.id).exists()
    assert told(bob, chat_id) == before
    assert verify()["ok"]
