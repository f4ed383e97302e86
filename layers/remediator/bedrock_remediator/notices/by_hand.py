"""How a person does by hand what the notice is about: commands for the AWS CLI, and the way through the console.

Every value that comes from a row is quoted for a POSIX shell, whatever it holds. The policy made here has a name and a
path of its own: those of the service's policies are the service's alone.
"""

import re
import shlex
from typing import Final

from bedrock_remediator.core.grant import DiagnosisKind, Grant
from bedrock_remediator.notices.advice import permission_set, principal_of
from bedrock_remediator.notices.notice import Plan
from bedrock_remediator.notices.untrusted_text import WIDTH

POLICY_FILE: Final = "bedrock-access.json"
_NAME_LENGTH: Final = 128


def policy_name(grant: Grant) -> str:
    """A name for a policy made by hand, in the characters and the length that IAM allows."""
    principal = principal_of(grant)
    words = ("bedrock-access", principal.name if principal else "", grant.model_id or "model")
    name = re.sub(r"[^A-Za-z0-9+=,.@_-]+", "-", "-".join(word for word in words if word))
    return name[:_NAME_LENGTH].strip("-")


def commands(grant: Grant, plan: Plan, strategy: str = "managed") -> tuple[str, ...]:
    """The AWS CLI commands, each ready to paste; the policy is in the file bedrock-access.json.

    Args:
        grant: The row; a row whose principal takes no policy gets no commands.
        plan: What the policy would say; each document of the grant alone has a file, `-2` and so on in its name.
            Without snippets nobody is to make it by hand, and there are no commands.
        strategy: Where the stack writes grants; `inline` gives put-role-policy, the others a managed policy.
    """
    if grant.diagnosis is DiagnosisKind.LEAKED_KEY:
        return _key_commands(grant)
    if plan.snippets is None:
        return ()
    if permission_set(grant):
        return _permission_set_commands()
    principal = principal_of(grant)
    if principal is None or principal.service_owned:
        return ()
    # Only a member account needs to be said. The id alone: a name is free text, and this is read by a shell.
    made = [f"# With credentials of account {principal.account}:"] if grant.account_name else []
    for place in range(1, len(plan.own) + 1):
        suffix = "" if place == 1 else f"-{place}"
        name = policy_name(grant)[: _NAME_LENGTH - len(suffix)] + suffix
        file = f"file://{POLICY_FILE.replace('.json', f'{suffix}.json')}"
        whom = f"--{principal.kind}-name {shlex.quote(principal.name)}"
        if strategy == "inline":
            made.append(
                _command(
                    f"aws iam put-{principal.kind}-policy",
                    whom,
                    f"--policy-name {shlex.quote(name)}",
                    f"--policy-document {file}",
                )
            )
        else:
            arn = f"arn:{principal.partition}:iam::{principal.account}:policy/{name}"
            made += [
                _command("aws iam create-policy", f"--policy-name {shlex.quote(name)}", f"--policy-document {file}"),
                _command(f"aws iam attach-{principal.kind}-policy", whom, f"--policy-arn {shlex.quote(arn)}"),
            ]
    return tuple(made)


def console(grant: Grant, strategy: str = "managed") -> str:
    """The way through the console, in a sentence; empty where there is none."""
    principal = principal_of(grant)
    if principal is None or grant.diagnosis is DiagnosisKind.LEAKED_KEY:
        return ""
    name = permission_set(grant)
    if name:
        return (
            f"In the console: IAM Identity Center, Permission sets, {name}, Inline policy, Edit; add the statements "
            "above, save, and let the console provision the accounts again."
        )
    if principal.service_owned:
        return ""
    place = f"IAM, {principal.kind.capitalize()}s, {principal.name}, Permissions"
    if grant.account_name:
        place = f"account {principal.account}, {place}"
    if strategy == "in-place":
        return (
            f"In the console: {place}; open the policy whose statement grants the model already, and add the ARNs "
            "above to its Resource. (Mind that this way the models can be called without the profile too.)"
        )
    return f"In the console: {place}, Add permissions, Create inline policy, JSON; paste the policy above."


def _permission_set_commands() -> tuple[str, ...]:
    """The placeholders stand in quotes, for a shell would read bare angle brackets as redirections."""
    where = ("--instance-arn 'INSTANCE_ARN'", "--permission-set-arn 'PERMISSION_SET_ARN'")
    return (
        _command("aws sso-admin get-inline-policy-for-permission-set", *where),
        _command("aws sso-admin put-inline-policy-to-permission-set", *where, f"--inline-policy file://{POLICY_FILE}"),
        _command("aws sso-admin provision-permission-set", *where, "--target-type ALL_PROVISIONED_ACCOUNTS"),
    )


def _key_commands(grant: Grant) -> tuple[str, ...]:
    principal = principal_of(grant)
    if principal is None or principal.kind != "user":
        return ()
    whom = f"--user-name {shlex.quote(principal.name)}"
    return (
        _command("aws iam list-access-keys", whom),
        _command("aws iam update-access-key", whom, "--access-key-id 'ACCESS_KEY_ID'", "--status Inactive"),
    )


def _command(*parts: str) -> str:
    one_line = " ".join(parts)
    return one_line if len(one_line) < WIDTH else " \\\n    ".join(parts)
