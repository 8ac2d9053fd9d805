"""The bucket through django-storages: a patient client for runs, a brisk one for pages.

Apart from `archive.store`, since boto3 takes a web worker 8 MB, and each client of it 16 more.
"""

from typing import Any

from botocore.config import Config
from django.conf import settings
from storages.backends.s3 import S3Storage

from archive.direct import BRISK, PATIENT, Patience


class _Storage(S3Storage):  # type: ignore[misc]
    """django-storages' S3 with our time-outs, pool and retries."""

    patience: Patience

    def get_default_settings(self) -> dict[str, Any]:
        """Return the library's settings with ours; those given in STORAGES come on top."""
        found: dict[str, Any] = super().get_default_settings()
        return found | {
            "client_config": Config(
                connect_timeout=self.patience.connect_seconds,
                read_timeout=self.patience.read_seconds,
                # The first attempt of what is read and written most goes by `archive.direct`.
                retries={"mode": "standard", "total_max_attempts": self.patience.attempts - 1},
                max_pool_connections=settings.ARCHIVE_THREADS * 2,
                # Our own digest is compared; the default one would change how bodies are sent.
                request_checksum_calculation="when_required",
                response_checksum_validation="when_required",
                s3={"addressing_style": "path" if settings.S3_ENDPOINT_URL else "auto"},
            )
        }


class PatientStorage(_Storage):
    """For backup and other runs."""

    patience = PATIENT


class BriskStorage(_Storage):
    """For pages."""

    patience = BRISK
