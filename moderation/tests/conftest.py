"""What the tests of moderation share."""

import pytest

from accounts.models import User
from accounts.tests.factories import make_user
from audit import actors
from audit.actors import Actor
from audit.models import ActorKind
from common.cache import cache
from moderation.access import grant_role
from moderation.roles import Role
from tests.core.people import Person


@pytest.fixture(autouse=True)
def _empty_cache():
    cache.close()
    cache.execute("FLUSHDB")
    yield
    cache.close()


def actor(user: User) -> Actor:
    """Return a user as whoever acts, with rights as they are now."""
    user = User.objects.get(pk=user.pk)
    return Actor(ActorKind.USER, user.username, user.pk, "192.0.2.1", user=user)


def staff(name: str, *roles: Role) -> User:
    """Return a new user with roles."""
    user = make_user(name)
    for role in roles:
        grant_role(user=user, role=role, by=actors.process())
    user.refresh_from_db()
    return user


@pytest.fixture
def ann(transactional_db):
    return Person("ann")


@pytest.fixture
def ben(transactional_db):
    return Person("ben")


@pytest.fixture
def cid(transactional_db):
    return Person("cid")


@pytest.fixture
def mod(transactional_db):
    """A moderator, as who acts."""
    return actor(staff("mod", Role.MODERATOR))


@pytest.fixture
def other_mod(transactional_db):
    return actor(staff("other", Role.MODERATOR))


@pytest.fixture
def root(transactional_db):
    return actor(User.objects.create_superuser("root"))
