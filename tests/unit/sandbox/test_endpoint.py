"""What stands where AWS's endpoints would."""

from pathlib import Path

import pytest
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError, EndpointConnectionError

from sandbox.calls import ApiError, Call
from sandbox.endpoint import NetworkClosedError
from sandbox.sessions import session
from tests.builders import sandboxes as make

HANDLER = {"work": "def handler(event, context): return None"}


def test_only_functions_calls_are_counted(tmp_path: Path) -> None:
    """An attempt counts for the function whose key signed it, refused ones too; the sandbox's own do not count."""
    resources = {"Role": make.role(make.statement(action="sns:*")), "Work": make.function("work", "Role")}
    with make.started(tmp_path, resources, HANDLER) as sandbox:
        make.own_session().client("iam").list_roles()
        function = session(sandbox.functions["Work"].access_key, make.REGION)
        with pytest.raises(ClientError):
            function.client("iam").list_roles()
        assert sandbox.endpoint.tally.counts == {"iam:ListRoles": 1}


def test_retries_count_and_do_not_wait(tmp_path: Path) -> None:
    """Each attempt counts; what botocore waits between them takes virtual time only."""
    resources = {"Role": make.role(make.statement(action="iam:*")), "Work": make.function("work", "Role")}
    with make.started(tmp_path, resources, HANDLER) as sandbox:

        def throttle(call: Call) -> None:
            if call.operation == "ListRoles":
                raise ApiError("Throttling", "Rate exceeded")

        sandbox.endpoint.refusals.append(throttle)
        before = sandbox.clock.instant()
        function = session(sandbox.functions["Work"].access_key, make.REGION)
        retries = Config(retries={"mode": "standard", "total_max_attempts": 3})
        with pytest.raises(ClientError, match="Throttling"):
            function.client("iam", config=retries).list_roles()
        assert sandbox.endpoint.tally.counts == {"iam:ListRoles": 3}
        assert sandbox.clock.instant() > before


def test_the_network_is_closed(tmp_path: Path) -> None:
    """A request that nobody answers here does not leave the machine, nor does an unsigned one."""
    with make.started(tmp_path, {}):
        elsewhere = make.own_session().client("s3", endpoint_url="https://storage.example.com")
        with pytest.raises(NetworkClosedError):
            elsewhere.list_buckets()
        unsigned = make.own_session().client("s3", config=Config(signature_version=UNSIGNED))
        with pytest.raises(NetworkClosedError):
            unsigned.list_buckets()


def test_nothing_is_left_behind(tmp_path: Path) -> None:
    """Outside the block clients go their own way again: this one finds nobody at its address."""
    with make.started(tmp_path, {}):
        pass
    once = Config(retries={"max_attempts": 0})
    client = make.own_session().client("sns", endpoint_url="http://127.0.0.1:9", config=once)
    with pytest.raises(EndpointConnectionError):
        client.list_topics()
