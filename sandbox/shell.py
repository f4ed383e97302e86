"""The shell that the sandbox is started from: none of its AWS settings counts here."""

import os
from typing import Final

_SETTINGS: Final = {
    "AWS_CONFIG_FILE": os.devnull,
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "AWS_EC2_METADATA_DISABLED": "true",
    "AWS_DEFAULT_REGION": "us-east-1",
}
_OTHERS: Final = frozenset({"BOTO_CONFIG", "REQUESTS_CA_BUNDLE"})


def leave_aws_settings() -> None:
    """Take every setting of AWS's tools out of this process's environment, and its configuration files with them.

    A profile that is missing, an endpoint of a local AWS, FIPS or dual-stack endpoints, a proxy's certificates: all of
    it is meant for the person's own account, and would only break what never leaves this machine.
    """
    for name in [name for name in os.environ if name.startswith("AWS_") or name in _OTHERS]:
        del os.environ[name]
    os.environ.update(_SETTINGS)
