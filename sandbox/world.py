"""The world file: which principals, policies, inference profiles and models there are in the accounts.

```yaml
account: "123456789012"      # where the service is deployed: the hub
region: us-east-1
roles:
  - name: llm-app
    inline: {base: {Version: "2012-10-17", Statement: [...]}}
inference_profiles:
  us-east-1:
    - {id: us.amazon.nova-2-lite-v1:0, type: SYSTEM_DEFINED, models: [...]}
scps: [{Version: "2012-10-17", Statement: [...]}]  # beside an implied FullAWSAccess
simulator: {conditional_scps: true, reports_boundary_keys: false}
organization: o-example12345 # the next two only where there are other accounts
accounts:
  "111122223333":
    name: research
    regions: [us-east-1, eu-central-1]
    roles: [...]
    inference_profiles: {eu-central-1: [...]}
```
What is not listed does not exist. An unknown key is an error. An account that names no `inference_profiles` has the
system-defined ones of the shipped catalogue, and one without `foundation_models` the catalogue's models.
"""

import functools
import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, Literal

import msgspec
from msgspec import Struct

from sandbox.conditions import condition_problems
from sandbox.documents import BadInputError, read_document
from sandbox.regions import partition_of

_FILE: Final = Path(__file__).parent.parent / "cli" / "bedrock_remediator_cli" / "profiles.json"
"""`as_of` is the day of the facts. `models` has, by model id, the regions where it is `on_demand`, and its `profiles`:
by profile id, each route `from` source regions `to` destination regions. "" is the model without a region, to which a
global profile routes."""


@functools.cache
def _models() -> dict[str, Any]:
    models: dict[str, Any] = json.loads(_FILE.read_text(encoding="utf-8"))["models"]
    return models


def inference_profiles() -> dict[str, list[dict[str, Any]]]:
    """Every system-defined profile by its source region, as a world file has them."""
    found: dict[str, list[dict[str, Any]]] = {}
    for model, content in _models().items():
        for profile, routes in content["profiles"].items():
            for source, destinations in _sources(routes):
                # A global profile's list has the source region's model beside the one without a region.
                regions = {*destinations, source} if "" in destinations else destinations
                arns = [_arn(model, source, region) for region in regions]
                entry = {"id": profile, "type": "SYSTEM_DEFINED", "models": sorted(arns)}
                found.setdefault(source, []).append(entry)
    return found


def foundation_models() -> dict[str, list[dict[str, Any]]]:
    """Every model by the regions that it can be called from, as a world file has them."""
    found: dict[str, list[dict[str, Any]]] = {}
    for model, content in _models().items():
        types: dict[str, list[str]] = {region: ["ON_DEMAND"] for region in content["on_demand"]}
        for routes in content["profiles"].values():
            for source, _ in _sources(routes):
                kinds = types.setdefault(source, [])
                if "INFERENCE_PROFILE" not in kinds:
                    kinds.append("INFERENCE_PROFILE")
        for region, kinds in types.items():
            found.setdefault(region, []).append({"id": model, "inference_types": kinds})
    return found


def _sources(routes: list[dict[str, list[str]]]) -> Iterator[tuple[str, list[str]]]:
    for route in routes:
        for source in route["from"]:
            yield source, route["to"]


def _arn(model: str, source: str, region: str) -> str:
    return f"arn:{partition_of(source)}:bedrock:{region}::foundation-model/{model}"


DEFAULT_WORLD: Final = Path(__file__).parent / "worlds" / "default.yaml"
DEFAULT_ORGANIZATION: Final = "o-example12345"
"""The organization of a world that has several accounts and does not say."""

_NAME = re.compile(r"[A-Za-z0-9+=,.@_-]{1,128}")
_PATH = re.compile(r"/([\x21-\x7e]*/)?")
_ACCOUNT = re.compile(r"\d{12}")
_ORGANIZATION = re.compile(r"o-[a-z0-9]{10,32}")

_VERSIONS: Final = ("2012-10-17", "2008-10-17")
_DOCUMENT: Final = ("Version", "Id", "Statement")
_STATEMENT: Final = ("Sid", "Effect", "Action", "NotAction", "Resource", "NotResource", "Condition")

Document = dict[str, Any]


class Group(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An IAM group: inline policies by name; managed ones by name, or an AWS managed policy's ARN for a document."""

    name: str
    path: str = "/"
    inline: dict[str, Document] = {}
    managed: dict[str, Document | str] = {}


class Role(Group, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An IAM role; `boundary` is its permissions boundary's document, or an AWS managed policy's ARN."""

    tags: dict[str, str] = {}
    boundary: Document | str | None = None


class User(Role, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An IAM user, who may be in groups."""

    groups: tuple[str, ...] = ()


class InferenceProfile(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An inference profile in one region; `models` are the foundation-model ARNs as AWS lists them.

    `name` is what its maker called it; without one, AWS's stand-in gives the id.
    """

    id: str
    type: Literal["SYSTEM_DEFINED", "APPLICATION"]
    models: tuple[str, ...]
    name: str | None = None

    def arn(self, account: str, region: str) -> str:
        """Its ARN, which has the caller's account even where AWS defined it."""
        kind = "inference-profile" if self.type == "SYSTEM_DEFINED" else "application-inference-profile"
        return f"arn:{partition_of(region)}:bedrock:{region}:{account}:{kind}/{self.id}"


class FoundationModel(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A foundation model in one region; `inference_types` are ON_DEMAND, PROVISIONED, INFERENCE_PROFILE."""

    id: str
    inference_types: tuple[str, ...] = ()


class AuthorizationDetails(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What IAM recorded of a refused request, under the authorization id in its message.

    `evaluations` are as GetRequestAuthorizationDetails gives them, `page` of them at a time. The first `not_found`
    questions come too early. `foreign` is a request by a principal of another organization, of which the layers are
    not told.
    """

    id: str
    region: str = "us-east-1"
    evaluations: tuple[dict[str, Any], ...] = ()
    page: int = 100
    not_found: int = 0
    foreign: bool = False


class Account(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is in an account, before the first event. Maps by region hold what Bedrock has there.

    `name` is what the organization calls it. `regions` are those whose denials are forwarded to the hub: where
    stacks/region.yaml is deployed in the hub's own account, and stacks/member.yaml in a member's; without, all are.
    `scps` are service control policies beside an implied FullAWSAccess: the hub's hold for every account.
    """

    name: str = ""
    regions: tuple[str, ...] | None = None
    groups: tuple[Group, ...] = ()
    roles: tuple[Role, ...] = ()
    users: tuple[User, ...] = ()
    scps: tuple[Document, ...] = ()
    inference_profiles: dict[str, tuple[InferenceProfile, ...]] = {}
    foundation_models: dict[str, tuple[FoundationModel, ...]] = {}
    authorization_details: tuple[AuthorizationDetails, ...] = ()

    def principals_of(self, account: str, partition: str) -> Iterator[tuple[str, Role]]:
        """Every role and user with its IAM ARN, in the file's order."""
        for kind, members in (("role", self.roles), ("user", self.users)):
            for member in members:
                yield f"arn:{partition}:iam::{account}:{kind}{member.path}{member.name}", member


class Member(Account, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Another account than the hub's.

    `enrolled` is whether the hub's parameter EnrolledAccounts names it. `stack` is whether stacks/member.yaml is
    deployed there at all; with the hub's region not among its `regions`, its rules are there and its roles are not.
    `organization` is another than the world's for an account that does not belong to it.
    """

    enrolled: bool = True
    stack: bool = True
    organization: str | None = None


class Reading(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How IAM's simulator works, where AWS's documents can be read in two ways (docs/aws-facts.md §4.5).

    `conditional_scps` is whether it weighs service control policies that have conditions, or skips them.
    `reports_boundary_keys` is whether it reports the keys that a permissions boundary asks for and was not given.
    """

    conditional_scps: bool = True
    reports_boundary_keys: bool = False


class World(Account, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The account of the hub, with the organization's other accounts by their ids."""

    account: str
    region: str = "us-east-1"
    organization: str | None = None
    accounts: dict[str, Member] = {}
    simulator: Reading = Reading()

    @property
    def partition(self) -> str:
        """The partition of the account's home region."""
        return partition_of(self.region)

    @property
    def everywhere(self) -> dict[str, Account]:
        """Every account by its id, the hub's first."""
        return {self.account: self, **self.accounts}

    @property
    def principals(self) -> Iterator[tuple[str, Role]]:
        """Every role and user of every account with its IAM ARN, in the file's order."""
        for account, content in self.everywhere.items():
            yield from content.principals_of(account, self.partition)

    def organization_of(self, account: str) -> str | None:
        """The organization that an account belongs to; None for one that belongs to none, or does not exist."""
        own = self.organization or (DEFAULT_ORGANIZATION if self.accounts else None)
        if account in self.accounts:
            return self.accounts[account].organization or own
        return own if account == self.account else None


def read_world(path: Path = DEFAULT_WORLD) -> World:
    """Read a world file.

    Raises:
        BadInputError: It cannot be read, has an unknown key, or describes what IAM would not have.
    """
    return parse_world(read_document(path), str(path))


def parse_world(content: Any, name: str = "world") -> World:
    """A world from a file's content; `name` is what messages call it.

    Raises:
        BadInputError: It has an unknown key, or describes what IAM would not have.
    """
    try:
        world = msgspec.convert(_with_catalogue(content), World)
    except msgspec.ValidationError as error:
        raise BadInputError(f"{name}: {error}") from error
    for problem in _problems(world):
        raise BadInputError(f"{name}: {problem}")
    return world


def _with_catalogue(content: Any) -> Any:
    """The content with the shipped catalogue in every account that says nothing of profiles or of models."""
    if not isinstance(content, dict):
        return content
    filled = {**content}
    filled.setdefault("inference_profiles", inference_profiles())
    filled.setdefault("foundation_models", foundation_models())
    if isinstance(content.get("accounts"), dict):
        filled["accounts"] = {name: _with_catalogue(member) for name, member in content["accounts"].items()}
    return filled


def _problems(world: World) -> Iterator[str]:
    if not _ACCOUNT.fullmatch(world.account):
        yield f"account is {world.account!r}: it must be 12 digits"
    if world.account in world.accounts:
        yield f"accounts: {world.account} is the hub itself"
    yield from _account_problems(world)
    for account, member in world.accounts.items():
        yield from (f"accounts, {account}: {problem}" for problem in _member_problems(account, member))
    for organization in (world.organization, *(member.organization for member in world.accounts.values())):
        if organization is not None and not _ORGANIZATION.fullmatch(organization):
            yield f"organization is {organization!r}: it must be o- and 10 to 32 small letters and digits"


def _member_problems(account: str, member: Member) -> Iterator[str]:
    if not _ACCOUNT.fullmatch(account):
        yield "an account's id has 12 digits"
    if not member.stack and member.regions is not None:
        yield "regions are those of its stack, which it does not have"
    yield from _account_problems(member)


def _account_problems(content: Account) -> Iterator[str]:
    for kind, members in (("group", content.groups), ("role", content.roles), ("user", content.users)):
        yield from _name_problems(kind, members)
        for member in members:
            for policy, document in [*member.inline.items(), *member.managed.items()]:
                if isinstance(document, dict):
                    yield from _document_problems(f"{kind} {member.name}, policy {policy}", document)
            boundary = member.boundary if isinstance(member, Role) else None
            if isinstance(boundary, dict):
                yield from _document_problems(f"{kind} {member.name}, permissions boundary", boundary)
    groups = {group.name for group in content.groups}
    for user in content.users:
        yield from (f"user {user.name}: no group {name}" for name in user.groups if name not in groups)
    for index, document in enumerate(content.scps):
        yield from _document_problems(f"scps[{index}]", document)
    yield from _managed_problems([*content.groups, *content.roles, *content.users])
    for region, listed in content.inference_profiles.items():
        yield from _repeated(f"inference_profiles in {region}", (profile.id for profile in listed))


def _name_problems(kind: str, members: Iterable[Group]) -> Iterator[str]:
    for member in members:
        if not _NAME.fullmatch(member.name):
            yield f"{kind} {member.name!r}: not a name that IAM takes"
        if not _PATH.fullmatch(member.path):
            yield f"{kind} {member.name}: path {member.path!r} must begin and end with a slash"
    # IAM's names are unique whatever their path and case.
    yield from _repeated(f"{kind}s", (member.name.lower() for member in members))


def _repeated(where: str, names: Iterable[str]) -> Iterator[str]:
    yield from (f"{where}: {name} is there {count} times" for name, count in Counter(names).items() if count > 1)


def _document_problems(where: str, document: Document) -> Iterator[str]:
    """What IAM refuses a policy for when it is written."""
    if document.get("Version", _VERSIONS[0]) not in _VERSIONS:
        yield f"{where}: its Version is {document['Version']!r}, and IAM knows {' and '.join(_VERSIONS)}"
    yield from (f"{where}: a policy has no {name!r}" for name in document if name not in _DOCUMENT)
    items = document.get("Statement")
    for statement in items if isinstance(items, list) else [items]:
        if not isinstance(statement, dict) or statement.get("Effect") not in ("Allow", "Deny"):
            yield f"{where}: every Statement needs an Effect of Allow or Deny"
        else:
            yield from (f"{where}: {problem}" for problem in _statement_problems(statement))


def _statement_problems(statement: Mapping[str, Any]) -> Iterator[str]:
    yield from (f"a Statement of a principal has no {name!r}" for name in statement if name not in _STATEMENT)
    for name in ("Action", "Resource"):
        given = [statement[key] for key in (name, f"Not{name}") if key in statement]
        texts = [text for value in given for text in (value if isinstance(value, list) else [value])]
        if len(given) != 1 or not texts or not all(isinstance(text, str) for text in texts):
            yield f"every Statement needs either {name} or Not{name}, a text or a list of texts"
    yield from condition_problems(statement.get("Condition", {}))


def _managed_problems(members: Iterable[Group]) -> Iterator[str]:
    known: dict[str, Mapping[str, Any]] = {}
    for member in members:
        for name, document in member.managed.items():
            if isinstance(document, str):
                continue
            if known.setdefault(name.lower(), document) != document:
                yield f"managed policy {name} is given twice with different documents"
