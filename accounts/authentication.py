"""`Authorization: Bearer <token>`, for DRF and for routes that do without it."""

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from rest_framework import authentication
from rest_framework.exceptions import AuthenticationFailed, NotAuthenticated
from rest_framework.request import Request

from accounts import tokens
from accounts.models import User
from common.limits import Limit, Taken, limit_of, taken_of

SCHEME = "Bearer"
# Far more than any of our tokens, and few enough to look at each character.
HEADER_MAX_CHARS = 2 * tokens.TOKEN_MAX_CHARS
BAD_HEADER = "The Authorization header must be 'Bearer', a space and a token."
BAD_TOKEN = "This token is not valid: it may have been revoked or have expired. Log in again."  # noqa: S105  # nosec B105 # a sentence about tokens


class Caller:
    """Who sends a request, by id. The rest of the user is fetched when something asks for it."""

    is_authenticated = True
    is_anonymous = False
    # A token of a banned user lets nobody in.
    is_active = True

    def __init__(self, user_id: UUID) -> None:
        self.pk = self.id = user_id
        self._user: User | None = None

    def __getattr__(self, name: str) -> Any:
        # Only for what is not set above. Never for private names: copying and pickling ask those.
        if name.startswith("__"):
            raise AttributeError(name)
        if self._user is None:
            self._user = User.objects.get(pk=self.pk)
        return getattr(self._user, name)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Caller | User) and self.pk == other.pk

    def __hash__(self) -> int:
        return hash(self.pk)

    def __str__(self) -> str:
        return str(self.pk)


def bearer_token(header: str) -> str | None:
    """Return the token of an Authorization header, or None when it is malformed."""
    if len(header) > HEADER_MAX_CHARS:
        return None
    scheme, _, token = header.strip(" \t").partition(" ")
    token = token.strip(" \t")
    # What has white space in it is more than one.
    if scheme.lower() != "bearer" or token.split() != [token]:
        return None
    return token


def refuse_token(token: str) -> None:
    """Refuse a token that lets nobody in, so that DRF's way need not look it up once more.

    Does nothing where that would read another token from the header: one with a space before it.
    """
    if bearer_token(f"{SCHEME} {token}") == token:
        refusal = AuthenticationFailed(BAD_TOKEN)
        refusal.auth_header = SCHEME  # type: ignore[attr-defined]
        raise refusal


def authenticate_token(token: str) -> UUID | None:
    """Return the user of a token, or None. See `accounts.tokens.authenticate`."""
    return tokens.authenticate(token)


def admit_token(
    token: str, limit: Limit | None, meta: Mapping[str, Any]
) -> tuple[UUID | None, Taken | None]:
    """Return the user of a token, or None, and what the request left of a limit."""
    if limit is None:
        return tokens.authenticate(token), None
    user_id, left = tokens.admit(token, limit.asked(meta))
    return user_id, taken_of(limit, left)


class TokenAuthentication(authentication.BaseAuthentication):
    """Bearer tokens. `request.auth` is the token.

    The route's limit is taken from in the same round trip; `common.limits.Throttle` looks at what
    is left of it.
    """

    def authenticate(self, request: Request) -> tuple[Any, Any] | None:
        """Return the caller and the token; None without a header, so that a session may do."""
        header = request.META.get("HTTP_AUTHORIZATION")
        if header is None:
            return None
        token = bearer_token(header)
        if token is None:
            raise AuthenticationFailed(BAD_HEADER)
        limit = limit_of(request.parser_context.get("view"), request.method)
        user_id, taken = admit_token(token, limit, request.META)
        if user_id is None:
            raise AuthenticationFailed(BAD_TOKEN)
        request._request.limit_taken = taken  # type: ignore[attr-defined]  # noqa: SLF001
        return Caller(user_id), token

    @staticmethod
    def refuse_early(header: str | None) -> None:
        """Raise what `authenticate` and DRF would, where nothing has to be asked for it.

        None is no header, of a request that has no session either.
        """
        refusal: NotAuthenticated | AuthenticationFailed
        if header is None:
            refusal = NotAuthenticated()
        else:
            token = bearer_token(header)
            if token is not None and tokens.digest(token) not in tokens.unknown:
                return
            refusal = AuthenticationFailed(BAD_HEADER if token is None else BAD_TOKEN)
        refusal.auth_header = SCHEME  # type: ignore[union-attr]
        raise refusal

    def authenticate_header(self, request: Request) -> str:
        """Return what `WWW-Authenticate` says; it makes a missing token a 401."""
        return SCHEME
