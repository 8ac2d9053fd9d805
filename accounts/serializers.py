"""The shapes of accounts: what is sent and what is answered."""

from typing import Any

from rest_framework import serializers

from accounts import names
from accounts.models import Block, User
from accounts.passwords import PASSWORD_MAX_CHARS
from common.fields import StrictCharField, StrictUUIDField
from common.samples import ADA, AT, BOB, sample


class UsernameField(StrictCharField):
    """A username as it is stored: in NFKC."""

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault("max_length", names.USERNAME_MAX_CHARS)
        kwargs.setdefault("validators", [])
        super().__init__(**kwargs)
        self.validators.append(names.UsernameValidator())

    def to_internal_value(self, data: Any) -> str:
        """Return the name in NFKC, which the rules are then applied to."""
        return names.normal(super().to_internal_value(data))

    def check_length(self, text: str) -> None:
        """Refuse what no name can be written in; the name itself is measured in NFKC."""
        if len(text) > names.SENT_MAX_CHARS:
            self.fail("max_length", max_length=self.max_length)


class RegisterSerializer(serializers.Serializer[Any]):
    """What `/register` takes."""

    username = UsernameField(
        help_text="1 to 64 letters, digits and @ . + - _ of any script; unique without regard to "
        "case."
    )
    password = StrictCharField(
        required=False,
        allow_null=True,
        max_length=PASSWORD_MAX_CHARS,
        style={"input_type": "password"},
        help_text="Without one, the token in the answer is the only way in.",
    )
    display_name = StrictCharField(
        required=False,
        allow_null=True,
        max_length=names.DISPLAY_NAME_MAX_CHARS,
        validators=[names.validate_display_name],
        help_text="What others see; the username when not given.",
    )


class LoginSerializer(serializers.Serializer[Any]):
    """What `/login` takes."""

    username = StrictCharField(
        max_length=names.SENT_MAX_CHARS, help_text="In any case and compatibility form."
    )
    password = StrictCharField(max_length=PASSWORD_MAX_CHARS, style={"input_type": "password"})


class NothingSerializer(serializers.Serializer[Any]):
    """What `/logout` takes: nothing."""


class UserIdSerializer(serializers.Serializer[Any]):
    """What `/block_user` and `/unblock_user` take."""

    user_id = StrictUUIDField(help_text="The id of the other user.")


@sample({"user_id": ADA, "username": "ada", "display_name": "Ada"})
class UserSerializer(serializers.ModelSerializer[User]):
    """A user as others see them."""

    user_id = serializers.UUIDField(source="id", read_only=True)

    class Meta:
        model = User
        fields: tuple[str, ...] = ("user_id", "username", "display_name")
        read_only_fields: tuple[str, ...] = fields


@sample(
    {
        "user_id": ADA,
        "username": "ada",
        "display_name": "Ada",
        "token": "Yv3q0eX2bM9h5l7wTnKdJ4rA8sGcUzPf1oQiBtE6xNk",  # nosec B105 # the documentation's sample, of nobody
    }
)
class AdmissionSerializer(UserSerializer):
    """A user and the token that lets them in: shown here and never again."""

    token = serializers.CharField(read_only=True)

    class Meta(UserSerializer.Meta):
        fields: tuple[str, ...] = (*UserSerializer.Meta.fields, "token")
        read_only_fields: tuple[str, ...] = fields


@sample({"user_id": BOB, "created_at": AT})
class BlockSerializer(serializers.ModelSerializer[Block]):
    """Whom the caller blocks, and since when."""

    user_id = serializers.UUIDField(source="blocked_id", read_only=True)

    class Meta:
        model = Block
        fields = ("user_id", "created_at")
        read_only_fields: tuple[str, ...] = fields
