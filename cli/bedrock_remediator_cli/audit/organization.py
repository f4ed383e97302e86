"""The organization's service control policies above the account, where they may be read."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, Protocol

import msgspec
from botocore.exceptions import ClientError
from msgspec import Struct

from bedrock_remediator.core.diagnosis.policies import contexts
from bedrock_remediator.core.diagnosis.target import Target
from bedrock_remediator.core.iam.evaluation import Evaluator, Finding, Holdings, Policy, PolicyKind, Request, Verdict
from bedrock_remediator.core.profile import Profile
from bedrock_remediator_cli.audit.reach import Known, personal

_UNREAD: Final = frozenset({"AccessDenied", "AccessDeniedException", "AWSOrganizationsNotInUseException"})
_SCP: Final = "SERVICE_CONTROL_POLICY"


class Organizations(Protocol):
    """What is asked of AWS Organizations; each answers as its client does."""

    def describe_organization(self) -> Mapping[str, Any]:
        """The organization."""
        ...

    def list_parents(self, *, ChildId: str) -> Mapping[str, Any]:  # noqa: N803 - AWS's names
        """What is above an account or a unit."""
        ...

    def list_policies_for_target(self, *, TargetId: str, Filter: str, NextToken: str = ...) -> Mapping[str, Any]:  # noqa: N803
        """The policies attached to an account, a unit or the root."""
        ...

    def describe_policy(self, *, PolicyId: str) -> Mapping[str, Any]:  # noqa: N803
        """A policy with its text."""
        ...


class Stop(Struct, frozen=True):
    """What stops a call: the policy's name, None where nothing allows it; and whether that is certain."""

    policy: str | None
    certain: bool


class Ceiling:
    """What the service control policies leave: every level, from the account to the root, must allow a call.

    Args:
        levels: The policies attached to the account, to each unit above it, and to the root.
    """

    def __init__(self, levels: Sequence[Sequence[Policy]]) -> None:
        self.documents = tuple(policy for level in levels for policy in level)
        self.policies = tuple(dict.fromkeys(policy.name for policy in self.documents))
        self.personal = personal(self.documents)
        self._levels = [Evaluator(Holdings(policies=tuple(level))) for level in levels]
        self._answers: dict[tuple[str, str, str], Stop | None] = {}

    def stops(self, action: str, resource: str, profile: Profile, known: Known) -> Stop | None:
        """What stops a call of one resource through a profile; None if nothing does."""
        key = (action, resource, profile.arn)
        if self.personal:
            return self._asked(action, resource, profile, known)
        if key not in self._answers:
            self._answers[key] = self._asked(action, resource, profile, known)
        return self._answers[key]

    def _asked(self, action: str, resource: str, profile: Profile, known: Known) -> Stop | None:
        request = Request(action, resource, contexts(Target(profile=profile), resource, known))
        answers = [level.evaluate(request) for level in self._levels]
        stopped = [answer for answer in answers if answer.verdict is not Verdict.ALLOWED]
        if not stopped:
            return None
        answer = min(stopped, key=_doubt)
        return Stop(
            answer.policy.name if answer.policy else None, answer.verdict is not Verdict.CONDITIONAL or answer.unmet
        )


def _doubt(answer: Finding) -> int:
    """How little is known of why a level stops a call: an explicit Deny first, a condition that may be met last."""
    if answer.verdict is Verdict.CONDITIONAL:
        return 2 if answer.unmet else 3
    return 0 if answer.verdict is Verdict.DENIED else 1


def read_ceiling(client: Organizations, account: str) -> Ceiling | None:
    """The service control policies above an account.

    Returns:
        None where there is no organization or it may not be read; of the management account, one without any policy.

    Raises:
        botocore.exceptions.ClientError: AWS refused for another reason.
    """
    try:
        if client.describe_organization()["Organization"].get("MasterAccountId") == account:
            return Ceiling(())  # service control policies do not hold for the management account
        return Ceiling([list(_attached(client, target)) for target in _targets(client, account)])
    except ClientError as error:
        if error.response.get("Error", {}).get("Code") in _UNREAD:
            return None
        raise


def _targets(client: Organizations, account: str) -> Iterator[str]:
    """The account, the units above it, and the root."""
    target: str | None = account
    while target:
        yield target
        parents = client.list_parents(ChildId=target)["Parents"]
        target = parents[0]["Id"] if parents else None
        if target and parents[0]["Type"] == "ROOT":
            yield target
            return


def _attached(client: Organizations, target: str) -> Iterator[Policy]:
    token: dict[str, str] = {}
    while True:
        answer = client.list_policies_for_target(TargetId=target, Filter=_SCP, **token)
        for summary in answer["Policies"]:
            policy = client.describe_policy(PolicyId=summary["Id"])["Policy"]
            yield Policy(
                name=summary["Name"],
                kind=PolicyKind.MANAGED,
                document=msgspec.json.decode(policy["Content"]),
                arn=summary.get("Arn"),
            )
        if not answer.get("NextToken"):
            return
        token = {"NextToken": answer["NextToken"]}
