"""Password hashing with bounded room of its own: what takes 100 MiB and a core for a while."""

from django.contrib.auth import hashers

from common.hashing import hashed


class Argon2PasswordHasher(hashers.Argon2PasswordHasher):
    """Django's, whose work a process of its own does for a web server (`common.hashing`)."""

    def encode(self, password: str, salt: str) -> str:
        """Return the hash of a password; raises Busy."""
        params = self.params()  # type: ignore[attr-defined]
        found: bytes = hashed(
            "digest",
            secret=password.encode(),
            salt=salt.encode(),
            time_cost=params.time_cost,
            memory_cost=params.memory_cost,
            parallelism=params.parallelism,
            hash_len=params.hash_len,
            type=params.type,
        )
        return f"{self.algorithm}{found.decode()}"

    def verify(self, password: str, encoded: str) -> bool:
        """Say whether a password is the one that was hashed; raises Busy."""
        right: bool = hashed("is_right", encoded="$" + encoded.partition("$")[2], password=password)
        return right
