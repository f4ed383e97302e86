import re
import shlex

import pytest

from bedrock_remediator.core.grant import Grant, State
from bedrock_remediator.notices.by_hand import commands, console, policy_name
from bedrock_remediator.notices.notice import Plan
from tests.builders.grants import ACCOUNT
from tests.builders.notices import USER, blocked_by_scp, conditional, leaked_key, notice_of, permission_set, requested

LINKED = f"arn:aws:iam::{ACCOUNT}:role/aws-service-role/example.amazonaws.com/AWSServiceRoleForExample"


def words(grant: Grant, strategy: str = "managed") -> list[list[str]]:
    """The commands as a shell would take them apart."""
    return [shlex.split(command.replace("\\\n", "")) for command in commands(grant, notice_of(grant).plan, strategy)]


def test_a_managed_policy_is_created_and_attached() -> None:
    """The two commands agree on the policy, which is not among the service's own."""
    create, attach = words(requested())
    name = "bedrock-access-llm-app-us.amazon.nova-2-lite-v1-0"
    assert create[:5] == ["aws", "iam", "create-policy", "--policy-name", name]
    assert create[5:] == ["--policy-document", "file://bedrock-access.json"]
    assert attach[:5] == ["aws", "iam", "attach-role-policy", "--role-name", "llm-app"]
    assert attach[5:] == ["--policy-arn", f"arn:aws:iam::{ACCOUNT}:policy/{name}"]


def test_a_user_gets_a_users_commands() -> None:
    """The commands are those for users where the principal is one."""
    assert words(requested(principal=USER))[1][2:5] == ["attach-user-policy", "--user-name", "ci"]


def test_an_inline_policy_is_put() -> None:
    """A stack that writes inline policies suggests one."""
    (put,) = words(requested(), "inline")
    assert put[:3] == ["aws", "iam", "put-role-policy"]


def test_each_document_has_a_name_and_a_file_of_its_own() -> None:
    """A grant of two documents makes two policies."""
    made = notice_of(requested()).plan
    two = Plan(own=made.own * 2, snippets=made.snippets)
    ready = commands(requested(), two)
    assert [command.split("/")[-1] for command in ready[::2]] == ["bedrock-access.json", "bedrock-access-2.json"]
    assert len(set(ready)) == 4


def test_a_permission_set_is_read_before_it_is_overwritten() -> None:
    """The commands show what is there, put the policy, and provision; what is not known stands quoted."""
    get, put, provision = words(permission_set())
    assert (get[2], put[2], provision[2]) == (
        "get-inline-policy-for-permission-set",
        "put-inline-policy-to-permission-set",
        "provision-permission-set",
    )
    assert "PERMISSION_SET_ARN" in put


def test_a_leaked_key_is_made_inactive() -> None:
    """For a user the commands list its keys and disable one; a role has no keys to disable."""
    shown, disable = words(leaked_key())
    assert shown == ["aws", "iam", "list-access-keys", "--user-name", "ci"]
    assert disable[-2:] == ["--status", "Inactive"]
    assert words(leaked_key(principal=requested().principal)) == []


@pytest.mark.parametrize(
    "grant",
    [
        blocked_by_scp(),
        conditional(),
        requested(state=State.REJECTED),
        requested(principal=None),
    ],
)
def test_no_commands_where_nobody_should_run_any(grant: Grant) -> None:
    """Where a grant cannot help, or would defeat a control, or was refused, there is nothing to run."""
    assert words(grant) == []


def test_a_service_linked_role_is_left_alone() -> None:
    """AWS lets nobody change such a role, so nothing is suggested even where a plan exists."""
    assert commands(requested(principal=LINKED), notice_of(requested()).plan) == ()
    assert console(requested(principal=LINKED)) == ""


def test_the_console_shows_the_same_way() -> None:
    """The console's way names the place, and for a permission set that place."""
    assert "IAM, Roles, llm-app, Permissions" in console(requested())
    assert "add the ARNs" in console(requested(), "in-place")
    assert "Permission sets, DataScientists" in console(permission_set())
    assert console(leaked_key()) == ""
    assert console(requested(principal=None)) == ""


def test_a_policys_name_is_one_that_iam_takes() -> None:
    """Whatever the model's id, the name has IAM's characters and length."""
    for model_id in ("arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/x", "x" * 300, None):
        for principal in (requested().principal, None):
            name = policy_name(requested(model_id=model_id, principal=principal))
            assert re.fullmatch(r"[A-Za-z0-9+=,.@_-]{1,128}", name)
