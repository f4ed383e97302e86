"""What IAM says of a principal: who it is, what it holds, and what its policies would do (all of it read-only)."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, Literal

import msgspec
from botocore.exceptions import ClientError
from msgspec import Struct

from bedrock_remediator.aws.cache import AgedCache, iam_pages
from bedrock_remediator.aws.errors import RetryableError, error_code, passing_trouble
from bedrock_remediator.clock import Clock, SystemClock
from bedrock_remediator.core.arn import Principal
from bedrock_remediator.core.iam.evaluation import Holdings, Policy, PolicyKind
from bedrock_remediator.core.request_context import key_type

if TYPE_CHECKING:
    from mypy_boto3_iam import IAMClient

_DOCUMENTS: Final = 100
_AWS_MANAGED_AGE: Final = timedelta(hours=1)
_VERSION_AGE: Final = timedelta(days=1)
_ABSENT: Final = "NoSuchEntity"
_NO_ANSWER: Final = frozenset({"InvalidInput", "NoSuchEntity", "PolicyEvaluation"})

Holder = Literal["role", "user", "group"]
Document = Mapping[str, Any]


class Entity(Struct, frozen=True, kw_only=True):
    """A principal as IAM knows it, less what it holds.

    `principal` has the path that IAM confirmed, `id` is the RoleId or UserId, which a re-created principal of the
    same name does not share. `created_at` is when it was made, in UTC; `boundary` the ARN of its boundary.
    """

    principal: Principal
    id: str
    created_at: datetime
    tags: Mapping[str, str]
    boundary: str | None = None


class Identity(Struct, frozen=True, kw_only=True):
    """A principal as IAM knows it, with its policies; the fields that it shares with `Entity` are as there."""

    principal: Principal
    id: str
    created_at: datetime
    tags: Mapping[str, str]
    holdings: Holdings


class Simulated(Struct, frozen=True, kw_only=True):
    """The simulator's answer for one action on one resource.

    `organizations` and `boundary`: whether that layer allows it; None where the simulator did not consult it.
    `missing_context`: the condition keys that a policy asked for and the call did not give.
    """

    action: str
    resource: str
    decision: Literal["allowed", "explicitDeny", "implicitDeny"]
    organizations: bool | None
    boundary: bool | None
    missing_context: tuple[str, ...]


class SimulationRefusedError(Exception):
    """IAM would not simulate that (an ARN it does not take, a policy it cannot read): it proves nothing."""


class IamReader:
    """Reads principals and their policies, with as few calls as IAM's API allows.

    An AWS managed policy is remembered for an hour. Of a customer managed one only the text of a version is, which
    never changes; which version is in force is always asked. Every method raises `RetryableError` on throttling, and
    what `client_for(account)` raises.
    """

    def __init__(self, client_for: Callable[[str], "IAMClient"], clock: Clock | None = None) -> None:
        self._client_for = client_for
        clock = clock or SystemClock()
        self._aws_managed: AgedCache[str, Document] = AgedCache(_DOCUMENTS, _AWS_MANAGED_AGE, clock)
        self._versions: AgedCache[tuple[str, str], Document] = AgedCache(_DOCUMENTS, _VERSION_AGE, clock)

    def principal(self, principal: Principal) -> tuple[Principal, str] | None:
        """The principal of that kind and name with its true path, and its RoleId or UserId; None if there is none."""
        entity = self.entity(principal)
        return (entity.principal, entity.id) if entity else None

    def entity(self, principal: Principal) -> Entity | None:
        """The principal of that kind and name with its tags, by one call; None if there is none, which two calls say.

        Raises:
            RetryableError: IAM does not agree with itself on whether there is one (docs/aws-facts.md §4).
        """
        with passing_trouble("reading a principal"):
            entity = self._entity(principal)
            if entity is None:
                self._require_absent(principal)
            return entity

    def tags(self, principal: Principal) -> Mapping[str, str]:
        """The tags of the principal of that kind and name; none if there is no such principal."""
        with passing_trouble("reading a principal's tags"):
            entity = self._entity(principal)
        return entity.tags if entity else {}

    def identity(self, principal: Principal) -> Identity | None:
        """The principal of that kind and name, with its tags, every policy and the boundary; None if there is none.

        The path given need not be right. What is removed while it is read is left out, or a `RetryableError`.
        """
        with passing_trouble("reading a principal's policies"):
            entity = self._entity(principal)
        if entity is None:
            return None
        return Identity(
            principal=entity.principal,
            id=entity.id,
            created_at=entity.created_at,
            tags=entity.tags,
            holdings=self.holdings(entity),
        )

    def holdings(self, entity: Entity) -> Holdings:
        """Every policy and the boundary of a principal; what is removed meanwhile as `identity` has it."""
        principal = entity.principal
        with passing_trouble("reading a principal's policies"):
            client = self._client_for(principal.account)
            try:
                policies = tuple(self._policies(client, principal))
            except ClientError as error:
                if error_code(error) == _ABSENT:
                    raise RetryableError(f"{principal.arn} changed while it was read") from error
                raise
            return Holdings(policies=policies, boundary=self._boundary(client, entity.boundary))

    def own_policies(self, principal: Principal) -> tuple[Policy, ...] | None:
        """The principal's inline and attached policies, without its groups'; None if there is no such principal."""
        with passing_trouble("reading a principal's policies"):
            try:
                return tuple(self._held(self._client_for(principal.account), principal.kind, principal.name))
            except ClientError as error:
                if error_code(error) == _ABSENT:
                    return None
                raise

    def simulate(
        self,
        principal_arn: str,
        actions: Sequence[str],
        resources: Sequence[str],
        context: Mapping[str, str],
        policies: Sequence[str] = (),
    ) -> list[Simulated]:
        """Ask what the principal's policies, and `policies` beside them, would do: every action on every resource.

        Args:
            principal_arn: Of the role or user.
            actions: IAM actions.
            resources: ARNs.
            context: Condition keys and their values, each given with its type. They hold for the whole call.
            policies: Documents (JSON text) that the principal does not have yet.

        Raises:
            SimulationRefusedError: IAM does not answer such a question, or knows no such principal.
        """
        client = self._client_for(Principal.parse(principal_arn).account)
        entries = [
            {"ContextKeyName": name, "ContextKeyValues": [value], "ContextKeyType": key_type(name)}
            for name, value in context.items()
        ]
        question = {
            "PolicySourceArn": principal_arn,
            "ActionNames": list(actions),
            "ResourceArns": list(resources),
            **({"ContextEntries": entries} if entries else {}),
            **({"PolicyInputList": list(policies)} if policies else {}),
        }
        with passing_trouble("simulating"):
            try:
                results = list(_pages(client.simulate_principal_policy, "EvaluationResults", **question))
            except ClientError as error:
                if error_code(error) in _NO_ANSWER:
                    raise SimulationRefusedError(str(error)) from error
                raise
        return list(dict.fromkeys(answer for result in results for answer in _simulated(result)))

    def _entity(self, principal: Principal) -> Entity | None:
        client = self._client_for(principal.account)
        if principal.kind == "role":
            role = _unless_absent(client.get_role, RoleName=principal.name)
            return role and _entity(role["Role"], "RoleId")
        user = _unless_absent(client.get_user, UserName=principal.name)
        return user and _entity(user["User"], "UserId")

    def _require_absent(self, principal: Principal) -> None:
        client = self._client_for(principal.account)
        if principal.kind == "role":
            found = _unless_absent(client.list_attached_role_policies, RoleName=principal.name)
        else:
            found = _unless_absent(client.list_attached_user_policies, UserName=principal.name)
        if found is not None:
            raise RetryableError(f"{principal.arn} has policies, and IAM says that it does not exist")

    def _policies(self, client: "IAMClient", principal: Principal) -> Iterator[Policy]:
        yield from self._held(client, principal.kind, principal.name)
        if principal.kind == "user":
            for group in _pages(client.list_groups_for_user, "Groups", UserName=principal.name):
                for policy in self._held(client, "group", group["GroupName"]):
                    yield msgspec.structs.replace(
                        policy, name=f"{group['GroupName']}/{policy.name}", kind=PolicyKind.GROUP
                    )

    def _held(self, client: "IAMClient", holder: Holder, name: str) -> Iterator[Policy]:
        """The inline and attached policies of a role, a user or a group: IAM has the same three calls for each."""
        who = {f"{holder.capitalize()}Name": name}
        read_inline = getattr(client, f"get_{holder}_policy")
        for policy_name in _pages(getattr(client, f"list_{holder}_policies"), "PolicyNames", **who):
            inline = _unless_absent(read_inline, PolicyName=policy_name, **who)
            if inline:
                yield Policy(name=policy_name, kind=PolicyKind.INLINE, document=inline["PolicyDocument"])
        for attached in _pages(getattr(client, f"list_attached_{holder}_policies"), "AttachedPolicies", **who):
            document = self._document(client, attached["PolicyArn"])
            if document is not None:
                yield _managed(attached["PolicyArn"], document)

    def _boundary(self, client: "IAMClient", arn: str | None) -> Policy | None:
        """The boundary; one whose policy is gone allows nothing."""
        if arn is None:
            return None
        return _managed(arn, self._document(client, arn) or {"Version": "2012-10-17", "Statement": []})

    def _document(self, client: "IAMClient", arn: str) -> Document | None:
        """The version of a managed policy that is in force; None if the policy is gone."""
        known = self._aws_managed.get(arn)
        if known is not None:
            return known
        policy = _unless_absent(client.get_policy, PolicyArn=arn)
        if policy is None:
            return None
        # The id, not the ARN: a policy that is deleted and made again has the same ARN and begins at v1 again.
        version = (policy["Policy"]["PolicyId"], policy["Policy"]["DefaultVersionId"])
        document = self._versions.get(version)
        if document is None:
            answer = _unless_absent(client.get_policy_version, PolicyArn=arn, VersionId=version[1])
            if answer is None:
                return None
            document = answer["PolicyVersion"]["Document"]
            self._versions.put(version, document)
        if _kind(arn) is PolicyKind.AWS_MANAGED:
            self._aws_managed.put(arn, document)
        return document


def _entity(answer: Mapping[str, Any], id_field: str) -> Entity:
    return Entity(
        principal=Principal.parse(answer["Arn"]),
        id=answer[id_field],
        created_at=answer["CreateDate"].astimezone(UTC),
        tags={tag["Key"]: tag["Value"] for tag in answer.get("Tags", [])},
        boundary=answer.get("PermissionsBoundary", {}).get("PermissionsBoundaryArn"),
    )


def _kind(arn: str) -> PolicyKind:
    return PolicyKind.AWS_MANAGED if arn.split(":")[4] == "aws" else PolicyKind.MANAGED


def _managed(arn: str, document: Document) -> Policy:
    return Policy(name=arn.rpartition("/")[2], kind=_kind(arn), document=document, arn=arn)


def _simulated(result: Mapping[str, Any]) -> Iterator[Simulated]:
    """The answers in one entry of EvaluationResults, one a resource.

    IAM used to give one entry a resource; today it gives one an action, which names no resource of the call and holds
    the resources' own answers in ResourceSpecificResults. What those leave out is taken from the entry.
    """
    for part in result.get("ResourceSpecificResults") or [result]:
        missing = {*part.get("MissingContextValues", ()), *result.get("MissingContextValues", ())}
        boundary = part.get("PermissionsBoundaryDecisionDetail") or result.get("PermissionsBoundaryDecisionDetail", {})
        yield Simulated(
            action=result["EvalActionName"],
            resource=part.get("EvalResourceName", "*"),
            decision=part.get("EvalResourceDecision") or result["EvalDecision"],
            organizations=result.get("OrganizationsDecisionDetail", {}).get("AllowedByOrganizations"),
            boundary=boundary.get("AllowedByPermissionsBoundary"),
            missing_context=tuple(sorted(missing)),
        )


def _pages(call: Callable[..., Mapping[str, Any]], field: str, **arguments: Any) -> Iterator[Any]:
    """The elements of a listing."""
    for answer in iam_pages(call, **arguments):
        yield from answer[field]


def _unless_absent(call: Callable[..., Any], **arguments: Any) -> Any:
    """IAM's answer, or None if it knows no such thing."""
    try:
        return call(**arguments)
    except ClientError as error:
        if error_code(error) == _ABSENT:
            return None
        raise
