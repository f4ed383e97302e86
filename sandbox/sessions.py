"""Sessions whose credentials say who calls, and open nothing."""

import functools
from typing import Any, Final

import boto3
import botocore.session
from botocore.loaders import create_loader

SECRET: Final = "sandbox"  # noqa: S105 - it opens nothing


@functools.cache
def _loader() -> Any:
    """The reader of botocore's service descriptions, shared, since each reads a service's only once."""
    return create_loader()


def session(access_key: str, region: str) -> boto3.Session:
    """A session that signs with this access key, in a region."""
    core = botocore.session.Session()
    core.register_component("data_loader", _loader())
    return boto3.Session(
        aws_access_key_id=access_key, aws_secret_access_key=SECRET, region_name=region, botocore_session=core
    )
