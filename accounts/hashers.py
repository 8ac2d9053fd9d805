"""Password hashing with bounded room of its own: what takes 100 MiB and a core for a while."""

from django.contrib.auth import hashers

from common.bulkheads import hashed


class Argon2PasswordHasher(hashers.Argon2PasswordHasher):
    """Django's, which in a web server hashes one password at a time in each worker."""

    def encode(self, password: str, salt: str) -> str:
        """Return the hash of a password; raises Busy."""
        encoded: str = hashed(lambda: super(Argon2PasswordHasher, self).encode(password, salt))
        return encoded

    def verify(self, password: str, encoded: str) -> bool:
        """Say whether a password is the one that was hashed; raises Busy."""
        right: bool = hashed(lambda: super(Argon2PasswordHasher, self).verify(password, encoded))
        return right
