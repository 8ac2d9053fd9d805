"""Several devices of one user poll at once while messages come: none hides anything from another."""

import threading

import pytest
from django.db import connection

from common.cache import cache
from tests.core.people import Person

pytestmark = pytest.mark.django_db(transaction=True)


def test_first_polls_at_the_moment_of_a_message_hide_it_from_nobody(sweeper):
    ada, bob = Person(), Person()
    ada.say(bob, "the first opens the chat")
    bob.poll()
    gate = threading.Barrier(3)

    def other_device() -> None:
        device = Person.again(bob)
        for _ in range(60):
            gate.wait(timeout=30)
            device.cursor = None
            device.poll()
            device.cursor = None
            device.poll()
            gate.wait(timeout=30)
        cache.close()
        connection.close()

    def sender() -> None:
        for number in range(60):
            gate.wait(timeout=30)
            ada.say(bob, f"{number}")
            gate.wait(timeout=30)
        cache.close()
        connection.close()

    threads = [threading.Thread(target=target) for target in (other_device, sender)]
    for thread in threads:
        thread.start()
    missed = []
    for number in range(60):
        gate.wait(timeout=30)
        gate.wait(timeout=30)
        if bob.drain() != [f"{number}"]:
            missed.append(number)
    for thread in threads:
        thread.join()
    assert missed == []
