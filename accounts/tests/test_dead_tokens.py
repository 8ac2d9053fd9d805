"""Rows of tokens that ended long ago are deleted, others are not."""

from datetime import timedelta

import pytest
from django.db.models import ProtectedError
from django.utils import timezone

from accounts import services
from accounts.models import Token
from accounts.tasks import delete_dead_tokens
from accounts.tests.factories import make_token, make_user

pytestmark = pytest.mark.django_db

LONG_AGO = services.DEAD_TOKENS_KEPT + timedelta(minutes=1)


def make(**ago):
    make_token(make_user())
    token = Token.objects.latest("pk")
    Token.objects.filter(pk=token.pk).update(
        **{name: timezone.now() - delta for name, delta in ago.items()}
    )
    return token.pk


def test_what_ended_long_ago_goes_and_the_rest_stays():
    for ago in ({"revoked_at": LONG_AGO}, {"expires_at": LONG_AGO}):
        make(**ago)
    stay = {
        make(),
        make(revoked_at=timedelta(days=1)),
        make(expires_at=timedelta(days=1)),
        make(expires_at=-timedelta(days=1)),
    }
    assert delete_dead_tokens() == 2
    assert set(Token.objects.values_list("pk", flat=True)) == stay
    assert delete_dead_tokens() == 0


def test_it_goes_in_batches():
    for _ in range(7):
        make(revoked_at=LONG_AGO)
    assert services.delete_dead_tokens(batch=3) == 7
    assert not Token.objects.exists()


def test_a_user_with_tokens_can_not_be_deleted_behind_the_cache_s_back():
    user = make_user()
    make_token(user)
    with pytest.raises(ProtectedError):
        user.delete()
