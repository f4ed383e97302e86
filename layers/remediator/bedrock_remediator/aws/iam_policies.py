"""The calls that change IAM policies, and the reads that must come before them. Only remediate may make them.

Nothing is decided here. What AWS refuses for good is a `RefusedError`; passing trouble, which includes a policy or a
principal that vanished between a read and a write, is a `RetryableError`: whoever looks again sees what has become of
it. Taking away what is not there any more is no error, so that a change that was interrupted can be made again; but
IAM may deny for seconds what was just written (docs/aws-facts.md §4), so another read must agree that it is not there.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

from botocore.exceptions import ClientError
from msgspec import Struct

from bedrock_remediator.aws.cache import iam_pages
from bedrock_remediator.aws.errors import RetryableError, error_code, passing_trouble
from bedrock_remediator.core.arn import Principal

if TYPE_CHECKING:
    from mypy_boto3_iam import IAMClient

MOST_VERSIONS: Final = 5
"""How many versions a managed policy may have (docs/aws-facts.md §4)."""

_MISSING: Final = "NoSuchEntity"
_PASSING: Final = frozenset({"ConcurrentModification", "EntityTemporarilyUnmodifiable", _MISSING})

Document = Mapping[str, Any]
"""A policy document, decoded."""


class RefusedError(Exception):
    """AWS refused a call, and would again: `operation` is IAM's name of it, `code` and `message` are AWS's words."""

    def __init__(self, error: ClientError) -> None:
        self.operation = error.operation_name
        self.code = error_code(error)
        self.message = error.response.get("Error", {}).get("Message", "")
        super().__init__(f"{self.operation}: {self.code}: {self.message}")


class NewVersion(NamedTuple):
    """A version that was just put in force; if botocore asked more than once, it may be there twice: `repeated`."""

    id: str
    repeated: bool


class ManagedPolicy(Struct, frozen=True, kw_only=True):
    """A customer managed policy.

    `default_version` is the version in force. `attachments` counts the principals and groups it is attached to,
    `boundaries` those that it bounds.
    """

    arn: str
    default_version: str
    tags: Mapping[str, str]
    attachments: int
    boundaries: int


class Holder(Struct, frozen=True):
    """Whom a managed policy is attached to: a role, a user or a group, by its name and its unique id."""

    kind: Literal["role", "user", "group"]
    name: str
    id: str


class ManagedPolicies:
    """Customer managed policies, and what they are attached to."""

    def __init__(self, client: "IAMClient") -> None:
        self._client = client

    def find(self, arn: str) -> ManagedPolicy | None:
        """The policy, None if there is none."""
        with _calling("GetPolicy", missing_is_an_answer=True) as call:
            policy = self._client.get_policy(PolicyArn=arn)["Policy"]
        if call.missing:
            return None
        return ManagedPolicy(
            arn=arn,
            default_version=policy["DefaultVersionId"],
            tags={tag["Key"]: tag["Value"] for tag in policy.get("Tags", ())},
            attachments=policy.get("AttachmentCount", 0),
            boundaries=policy.get("PermissionsBoundaryUsageCount", 0),
        )

    def under(self, path: str) -> Iterator[str]:
        """The ARNs of the account's policies under a path, page by page."""
        with _calling("ListPolicies"):
            pages = iam_pages(self._client.list_policies, Scope="Local", PathPrefix=path)
            yield from (policy["Arn"] for page in pages for policy in page["Policies"])

    def document(self, arn: str, version: str) -> Document:
        """What a version says."""
        with _calling("GetPolicyVersion"):
            answer = self._client.get_policy_version(PolicyArn=arn, VersionId=version)
        return _decoded(answer["PolicyVersion"]["Document"])

    def versions(self, arn: str) -> tuple[str, ...]:
        """Every version, the oldest first."""
        found = self._versions(arn)
        if found is None:
            raise RetryableError(f"ListPolicyVersions: {arn} has vanished")
        return found

    def holders(self, arn: str) -> frozenset[Holder]:
        """Whom it is attached to; those whose boundary it is are among them."""
        with _calling("ListEntitiesForPolicy"):
            pages = list(iam_pages(self._client.list_entities_for_policy, PolicyArn=arn))
        return frozenset(
            [Holder("role", role["RoleName"], role["RoleId"]) for page in pages for role in page["PolicyRoles"]]
            + [Holder("user", user["UserName"], user["UserId"]) for page in pages for user in page["PolicyUsers"]]
            + [
                Holder("group", group["GroupName"], group["GroupId"])
                for page in pages
                for group in page["PolicyGroups"]
            ]
        )

    def require_absent(self, arn: str) -> None:
        """Have another read agree with `find` that there is no such policy.

        Raises:
            RetryableError: It does not.
        """
        if self._versions(arn) is not None:
            raise _contradiction(arn)

    def attached(self, principal: Principal, path: str = "/") -> frozenset[str] | None:
        """The ARNs of the principal's policies under a path; None if there is no such principal."""
        with _calling("ListAttachedPolicies", missing_is_an_answer=True) as call:
            if principal.kind == "role":
                pages = list(
                    iam_pages(self._client.list_attached_role_policies, RoleName=principal.name, PathPrefix=path)
                )
            else:
                pages = list(
                    iam_pages(self._client.list_attached_user_policies, UserName=principal.name, PathPrefix=path)
                )
        if call.missing:
            return None
        return frozenset(policy["PolicyArn"] for page in pages for policy in page["AttachedPolicies"])

    def create(self, path: str, name: str, document: str, tags: Mapping[str, str], description: str) -> None:
        """Make a policy; its first version is in force."""
        with _calling("CreatePolicy"):
            self._client.create_policy(
                Path=path,
                PolicyName=name,
                PolicyDocument=document,
                Description=description,
                Tags=[{"Key": key, "Value": value} for key, value in tags.items()],
            )

    def add_version(self, arn: str, document: str) -> NewVersion:
        """Put another document in force."""
        with _calling("CreatePolicyVersion"):
            made = self._client.create_policy_version(PolicyArn=arn, PolicyDocument=document, SetAsDefault=True)
        return NewVersion(made["PolicyVersion"]["VersionId"], made["ResponseMetadata"]["RetryAttempts"] > 0)

    def put_in_force(self, arn: str, version: str) -> None:
        """Make a version that is there the one in force."""
        with _calling("SetDefaultPolicyVersion"):
            self._client.set_default_policy_version(PolicyArn=arn, VersionId=version)

    def delete_version(self, arn: str, version: str) -> None:
        """Delete a version that is not in force."""
        with _calling("DeletePolicyVersion", missing_is_an_answer=True) as call:
            self._client.delete_policy_version(PolicyArn=arn, VersionId=version)
        if call.missing and version in (self._versions(arn) or ()):
            raise _contradiction(f"version {version} of {arn}")

    def delete(self, arn: str) -> None:
        """Delete a policy that has one version left and is attached to nobody."""
        with _calling("DeletePolicy", missing_is_an_answer=True) as call:
            self._client.delete_policy(PolicyArn=arn)
        if call.missing and self.find(arn):
            raise _contradiction(arn)

    def tag(self, arn: str, tags: Mapping[str, str]) -> None:
        """Set tags; others stay."""
        with _calling("TagPolicy"):
            self._client.tag_policy(PolicyArn=arn, Tags=[{"Key": key, "Value": value} for key, value in tags.items()])

    def attach(self, principal: Principal, arn: str) -> None:
        """Attach a policy; nothing changes if it is attached already."""
        with _calling("AttachPolicy"):
            if principal.kind == "role":
                self._client.attach_role_policy(RoleName=principal.name, PolicyArn=arn)
            else:
                self._client.attach_user_policy(UserName=principal.name, PolicyArn=arn)

    def detach(self, principal: Principal, arn: str) -> None:
        """Detach a policy."""
        with _calling("DetachPolicy", missing_is_an_answer=True) as call:
            if principal.kind == "role":
                self._client.detach_role_policy(RoleName=principal.name, PolicyArn=arn)
            else:
                self._client.detach_user_policy(UserName=principal.name, PolicyArn=arn)
        if call.missing and arn in (self.attached(principal) or ()):
            raise _contradiction(f"{arn} of {principal.arn}")

    def _versions(self, arn: str) -> tuple[str, ...] | None:
        with _calling("ListPolicyVersions", missing_is_an_answer=True) as call:
            pages = list(iam_pages(self._client.list_policy_versions, PolicyArn=arn))
        if call.missing:
            return None
        found = [version["VersionId"] for page in pages for version in page["Versions"]]
        return tuple(sorted(found, key=_number))


class InlinePolicies:
    """The inline policies of roles and users."""

    def __init__(self, client: "IAMClient") -> None:
        self._client = client

    def all(self, principal: Principal) -> dict[str, Document]:
        """Every inline policy of the principal, name -> document; none if there is no such principal."""
        documents: dict[str, Document] = {}
        for name in self._names(principal):
            document = self.document(principal, name)
            if document is None:
                raise _contradiction(f"the inline policy {name} of {principal.arn}")
            documents[name] = document
        return documents

    def require_absent(self, principal: Principal, name: str) -> None:
        """Have another read agree with `all` that the principal has no such policy.

        Raises:
            RetryableError: It does not.
        """
        if self.document(principal, name) is not None:
            raise _contradiction(f"the inline policy {name} of {principal.arn}")

    def document(self, principal: Principal, name: str) -> Document | None:
        """What an inline policy says, None if there is none."""
        with _calling("GetInlinePolicy", missing_is_an_answer=True) as call:
            if principal.kind == "role":
                found: object = self._client.get_role_policy(RoleName=principal.name, PolicyName=name)["PolicyDocument"]
            else:
                found = self._client.get_user_policy(UserName=principal.name, PolicyName=name)["PolicyDocument"]
        return None if call.missing else _decoded(found)

    def put(self, principal: Principal, name: str, document: str) -> None:
        """Write an inline policy over the one of that name, if there is one."""
        with _calling("PutInlinePolicy"):
            if principal.kind == "role":
                self._client.put_role_policy(RoleName=principal.name, PolicyName=name, PolicyDocument=document)
            else:
                self._client.put_user_policy(UserName=principal.name, PolicyName=name, PolicyDocument=document)

    def delete(self, principal: Principal, name: str) -> None:
        """Delete an inline policy."""
        with _calling("DeleteInlinePolicy", missing_is_an_answer=True) as call:
            if principal.kind == "role":
                self._client.delete_role_policy(RoleName=principal.name, PolicyName=name)
            else:
                self._client.delete_user_policy(UserName=principal.name, PolicyName=name)
        if call.missing:
            self.require_absent(principal, name)

    def _names(self, principal: Principal) -> list[str]:
        with _calling("ListInlinePolicies", missing_is_an_answer=True) as call:
            if principal.kind == "role":
                pages = list(iam_pages(self._client.list_role_policies, RoleName=principal.name))
            else:
                pages = list(iam_pages(self._client.list_user_policies, UserName=principal.name))
        return [] if call.missing else [name for page in pages for name in page["PolicyNames"]]


class _Call:
    """What became of a call for which "there is no such thing" is an answer."""

    missing = False


@contextmanager
def _calling(operation: str, *, missing_is_an_answer: bool = False) -> Iterator[_Call]:
    """Sort out what can go wrong with the call inside."""
    call = _Call()
    try:
        with passing_trouble(operation):
            yield call
    except ClientError as error:
        if error_code(error) == _MISSING and missing_is_an_answer:
            call.missing = True
        elif error_code(error) in _PASSING:
            raise RetryableError(f"{operation}: {error}") from error
        else:
            raise RefusedError(error) from error


def _contradiction(what: str) -> RetryableError:
    return RetryableError(f"IAM says of {what} that it is there, and that it is not")


def _decoded(document: object) -> Document:
    """The document as JSON holds it: botocore decodes most, and hands on the rest as the text it is."""
    found = json.loads(document) if isinstance(document, str) else document
    if not isinstance(found, Mapping):
        raise TypeError("a policy document is a JSON object")
    return found


def _number(version: str) -> int:
    """`v12` -> 12."""
    return int(version.removeprefix("v"))
