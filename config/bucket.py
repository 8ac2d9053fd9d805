"""`python -m config.bucket`: make the archive's bucket unless it is there.

For servers of one's own; where a provider's bucket is used, its owner makes it, with its policies.
"""

from __future__ import annotations

import os
import sys
from http import HTTPStatus

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from django.conf import settings

# A server that starts beside us gets a minute.
RETRIES = 8


def make() -> bool:
    """Make the bucket; return False where it was there. Raises what boto3 raises."""
    client = boto3.client(
        "s3",
        endpoint_url=settings.S3_ENDPOINT_URL or None,
        region_name=settings.S3_REGION,
        aws_access_key_id=settings.S3_ACCESS_KEY_ID or None,
        aws_secret_access_key=settings.S3_SECRET_ACCESS_KEY or None,
        config=Config(
            connect_timeout=5,
            read_timeout=10,
            retries={"total_max_attempts": RETRIES, "mode": "standard"},
        ),
    )
    try:
        client.head_bucket(Bucket=settings.S3_BUCKET)
    except ClientError as error:
        if error.response["ResponseMetadata"]["HTTPStatusCode"] != HTTPStatus.NOT_FOUND:
            raise
    else:
        return False
    client.create_bucket(Bucket=settings.S3_BUCKET)
    return True


def main() -> int:
    """Make it and say so; return an exit status."""
    try:
        made = make()
    except (BotoCoreError, ClientError) as error:
        sys.stderr.write(f"The bucket {settings.S3_BUCKET} can't be made or reached: {error}\n")
        return 1
    sys.stdout.write(f"The bucket {settings.S3_BUCKET} {'was made' if made else 'is there'}.\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
