"""Puts an account's principals and policies into moto's IAM, and reads them back as a person would list them."""

import json
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any, Final, TypeAlias

from moto.iam.models import AWSManagedPolicy, IAMBackend, ManagedPolicy, iam_backends
from moto.iam.models import Group as MotoGroup
from moto.iam.models import Role as MotoRole
from moto.iam.models import User as MotoUser

from sandbox.documents import BadInputError
from sandbox.managed_policies import aws_managed_document, aws_managed_path
from sandbox.world import Account, Document, Group, Role

BOUNDARY_PATH: Final = "/sandbox-boundary/"
"""Where the boundaries of a world live, which have no names of their own there."""

MADE: Final = datetime(2020, 1, 1)  # noqa: DTZ001 - moto's own times are in UTC without saying so
"""When everything in a world was made: before any event."""

Entity: TypeAlias = MotoRole | MotoUser
"""A principal, as moto keeps it."""

_TRUST: Final = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}],
}


class Directory:
    """An account's IAM in moto: loads what is in the account, finds principals and policies."""

    def __init__(self, account: str, partition: str) -> None:
        self._account = account
        self._partition = partition

    @property
    def backend(self) -> IAMBackend:
        """IAM in moto of the account."""
        return iam_backends[self._account][self._partition]

    def load(self, content: Account, region: str) -> None:
        """Put the account's groups, roles and users into IAM; `region` is any of the partition.

        Raises:
            BadInputError: It names an AWS managed policy that there is not.
        """
        for group in content.groups:
            entity = self.backend.create_group(group.name, group.path)
            self._give(entity, group)
        for role in content.roles:
            self._give(self._make_role(role), role)
        for user in content.users:
            self._give(self._make_user(user, region), user)
            for name in user.groups:
                self.backend.add_user_to_group(name, user.name)

    def _make_role(self, role: Role) -> MotoRole:
        return self.backend.create_role(
            role_name=role.name,
            assume_role_policy_document=json.dumps(_TRUST),
            path=role.path,
            permissions_boundary=self._boundary("role", role),
            description="",
            tags=_tags(role),
            max_session_duration="3600",
        )

    def _make_user(self, user: Role, region: str) -> MotoUser:
        entity = self.backend.create_user(region, user.name, user.path, _tags(user))
        boundary = self._boundary("user", user)
        if boundary:
            # moto's users know no boundary; its serialiser takes GetUser's from this attribute.
            entity.permissions_boundary = {  # type: ignore[attr-defined]
                "PermissionsBoundaryType": "Policy",
                "PermissionsBoundaryArn": boundary,
            }
        return entity

    def _boundary(self, kind: str, member: Role) -> str | None:
        if member.boundary is None:
            return None
        if isinstance(member.boundary, str):
            return self._policy("", member.boundary).arn
        return self._managed(f"{kind}.{member.name}"[:128], BOUNDARY_PATH, member.boundary).arn

    def _give(self, entity: Entity | MotoGroup, member: Group) -> None:
        # moto's entities are as old as this process, and an event may be older.
        entity.create_date = MADE
        for name, document in member.inline.items():
            entity.policies[name] = json.dumps(document)
        for name, managed in member.managed.items():
            policy = self._policy(name, managed)
            if policy.arn not in entity.managed_policies:
                policy.attach_to(entity)

    def _policy(self, name: str, managed: Document | str) -> ManagedPolicy:
        if isinstance(managed, str):
            return self._named(managed)
        return self._managed(name, "/", managed)

    def _managed(self, name: str, path: str, document: Document) -> ManagedPolicy:
        arn = f"arn:{self._partition}:iam::{self._account}:policy{path}{name}"
        known = self.backend.managed_policies.get(arn)
        if known:
            return known
        policy = ManagedPolicy(  # type: ignore[abstract]  # what is abstract there is for CloudFormation
            name, account_id=self._account, region=self._region, document=json.dumps(document), path=path
        )
        self.backend.managed_policies[arn] = policy
        return policy

    @property
    def _region(self) -> str:
        return {"aws-cn": "cn-north-1", "aws-us-gov": "us-gov-west-1"}.get(self._partition, "us-east-1")

    def _named(self, arn: str) -> ManagedPolicy:
        known = self.backend.managed_policies.get(arn)
        if known:
            return known
        if f":{self._account}:" in arn:
            raise BadInputError(f"no managed policy {arn} in the world; give its document instead")
        policy = AWSManagedPolicy(  # type: ignore[abstract]  # what is abstract there is for CloudFormation
            arn.rpartition("/")[2],
            account_id=self._account,
            region=self._region,
            document=json.dumps(aws_managed_document(arn)),
            path=aws_managed_path(arn),
        )
        self.backend.managed_policies[arn] = policy
        return policy

    def entity(self, arn: str) -> Entity | None:
        """The role or user of an ARN; None where there is none."""
        entities: list[Entity] = [*self.backend.roles.values(), *self.backend.users.values()]
        return next((entity for entity in entities if entity.arn == arn), None)

    def role(self, name: str) -> MotoRole | None:
        """The role of a name."""
        return next((role for role in self.backend.roles.values() if role.name == name), None)

    def user(self, name: str) -> MotoUser | None:
        """The user of a name."""
        return self.backend.users.get(name)

    def group(self, name: str) -> MotoGroup | None:
        """The group of a name."""
        return self.backend.groups.get(name)

    def groups_of(self, entity: Entity) -> list[MotoGroup]:
        """The groups that a user is in; a role is in none."""
        return self.backend.get_groups_for_user(entity.name) if isinstance(entity, MotoUser) else []

    def described(self, kind: str, name: str) -> tuple[str, Mapping[str, str], str | None]:
        """A role's, user's or group's ARN, tags and boundary; one that is not there has the path `/`."""
        find: dict[str, Callable[[str], Any]] = {"role": self.role, "user": self.user, "group": self.group}
        found = find[kind](name)
        if found is None:
            return f"arn:{self._partition}:iam::{self._account}:{kind}/{name}", {}, None
        boundary = self.boundary(found)
        tags = {tag["Key"]: tag["Value"] for tag in getattr(found, "tags", None) or []}
        return found.arn, tags, boundary.arn if boundary else None

    def boundary(self, entity: Entity) -> ManagedPolicy | None:
        """The principal's permissions boundary."""
        element: Mapping[str, str] = getattr(entity, "permissions_boundary", None) or {}
        return self.backend.managed_policies.get(element.get("PermissionsBoundaryArn", ""))


def default_document(policy: ManagedPolicy) -> dict[str, Any]:
    """The document of a managed policy's default version."""
    version = next(version for version in policy.versions if version.version_id == policy.default_version_id)
    document: dict[str, Any] = json.loads(version.document)
    return document


def own_policies(entity: Entity) -> Iterator[tuple[str, str | None, dict[str, Any]]]:
    """A principal's inline policies (name, None, document) and customer managed ones (name, ARN, document)."""
    for name in sorted(entity.policies):
        text = entity.policies[name]
        yield name, None, json.loads(text)
    for arn in sorted(entity.managed_policies):
        if ":iam::aws:" not in arn:
            policy = entity.managed_policies[arn]
            yield policy.name, arn, default_document(policy)


def _tags(member: Role) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in member.tags.items()]
