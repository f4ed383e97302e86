"""The account's principals and policies as GetAccountAuthorizationDetails gives them, a page at a time.

What is kept is little: of managed and group policies the statements about Bedrock, of principals those of the page.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, Protocol

from bedrock_remediator.core.arn import Principal
from bedrock_remediator.core.iam.evaluation import Holdings, Policy, PolicyKind
from bedrock_remediator_cli.audit.findings import Member
from bedrock_remediator_cli.audit.statements import about_bedrock

_PAGE: Final = 500
_POLICIES: Final = ("LocalManagedPolicy", "AWSManagedPolicy")
_NOTHING: Final[Mapping[str, Any]] = {"Version": "2012-10-17", "Statement": []}


class Iam(Protocol):
    """What is asked of IAM; each answers as its client does."""

    def get_account_authorization_details(
        self,
        *,
        Filter: Sequence[Any],  # noqa: N803 - AWS's names
        MaxItems: int,  # noqa: N803
        Marker: str = ...,  # noqa: N803
    ) -> Mapping[str, Any]:
        """A page of users, groups, roles and policies."""
        ...

    def get_policy(self, *, PolicyArn: str) -> Mapping[str, Any]:  # noqa: N803
        """A managed policy without its text."""
        ...

    def get_policy_version(self, *, PolicyArn: str, VersionId: str) -> Mapping[str, Any]:  # noqa: N803
        """A version of a managed policy."""
        ...


class AccountReader:
    """Reads an account. The policies are read first, once, then the principals as they are asked for."""

    def __init__(self, client: Iam) -> None:
        self._client = client
        self._managed: dict[str, Policy | None] = {}
        self._groups: dict[str, tuple[Policy, ...]] = {}

    def read_policies(self) -> Iterator[int]:
        """Read the managed policies, then the groups; gives how many, page by page.

        Raises:
            botocore.exceptions.ClientError: IAM refused.
        """
        for page in self._pages(*_POLICIES):
            for found in page.get("Policies", ()):
                self._managed[found["Arn"]] = about_bedrock(_managed(found["Arn"], _text(found)))
            yield len(page.get("Policies", ()))
        for page in self._pages("Group"):
            for group in page.get("GroupDetailList", ()):
                self._groups[group["GroupName"]] = tuple(self._held(group, "Group"))
            yield len(page.get("GroupDetailList", ()))

    def members(self) -> Iterator[list[Member]]:
        """The roles and users, a page at a time. Service-linked roles are left out: nobody can change them.

        Raises:
            botocore.exceptions.ClientError: IAM refused.
        """
        for page in self._pages("Role", "User"):
            roles = [self._member(detail, "Role") for detail in page.get("RoleDetailList", ())]
            users = [self._member(detail, "User") for detail in page.get("UserDetailList", ())]
            yield [each for each in (*roles, *users) if not _linked(each.principal)]

    def _pages(self, *kinds: str) -> Iterator[Mapping[str, Any]]:
        marker: dict[str, str] = {}
        while True:
            page = self._client.get_account_authorization_details(Filter=kinds, MaxItems=_PAGE, **marker)
            yield page
            if not page.get("IsTruncated"):
                return
            marker = {"Marker": page["Marker"]}

    def _member(self, detail: Mapping[str, Any], kind: str) -> Member:
        policies = list(self._held(detail, kind))
        for name in detail.get("GroupList", ()):
            policies += self._groups.get(name, ())
        boundary = detail.get("PermissionsBoundary", {}).get("PermissionsBoundaryArn")
        limit = boundary and (self._document(boundary) or _managed(boundary, _NOTHING))
        return Member(
            principal=Principal.parse(detail["Arn"]),
            tags={tag["Key"]: tag["Value"] for tag in detail.get("Tags", ())},
            holdings=Holdings(policies=tuple(policies), boundary=limit or None),
        )

    def _held(self, detail: Mapping[str, Any], kind: str) -> Iterator[Policy]:
        """The inline and attached policies of a role, user or group, those about Bedrock."""
        of_group, prefix = kind == "Group", f"{detail['GroupName']}/" if kind == "Group" else ""
        for inline in detail.get(f"{kind}PolicyList", ()):
            policy = about_bedrock(
                Policy(
                    name=f"{prefix}{inline['PolicyName']}",
                    kind=PolicyKind.GROUP if of_group else PolicyKind.INLINE,
                    document=inline["PolicyDocument"],
                )
            )
            if policy:
                yield policy
        for attached in detail.get("AttachedManagedPolicies", ()):
            found = self._document(attached["PolicyArn"])
            if found:
                yield found

    def _document(self, arn: str) -> Policy | None:
        """A managed policy; one that the list left out is asked for."""
        if arn not in self._managed:
            version = self._client.get_policy(PolicyArn=arn)["Policy"]["DefaultVersionId"]
            answer = self._client.get_policy_version(PolicyArn=arn, VersionId=version)
            self._managed[arn] = about_bedrock(_managed(arn, answer["PolicyVersion"]["Document"]))
        return self._managed[arn]


def _text(policy: Mapping[str, Any]) -> Mapping[str, Any]:
    versions = policy.get("PolicyVersionList", ())
    document: Mapping[str, Any] = next(
        (each["Document"] for each in versions if each.get("IsDefaultVersion")), _NOTHING
    )
    return document


def _managed(arn: str, document: Mapping[str, Any]) -> Policy:
    kind = PolicyKind.AWS_MANAGED if arn.split(":")[4] == "aws" else PolicyKind.MANAGED
    return Policy(name=arn.rpartition("/")[2], kind=kind, document=document, arn=arn)


def _linked(principal: Principal) -> bool:
    return principal.service_owned and not principal.identity_center
