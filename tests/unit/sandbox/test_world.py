"""World files: what they may say, and what is told of a mistake."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sandbox.documents import BadInputError, read_document, read_objects
from sandbox.managed_policies import aws_managed_document, aws_managed_path
from sandbox.regions import partition_of
from sandbox.world import DEFAULT_WORLD, read_world

ALLOW = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}


def written(folder: Path, **parts: Any) -> Path:
    """A world file of these parts."""
    path = folder / "world.json"
    path.write_text(json.dumps({"account": "123456789012", **parts}), encoding="utf-8")
    return path


def test_a_principals_arn_has_its_path(tmp_path: Path) -> None:
    """Roles come before users, each under its IAM ARN, path and partition included."""
    path = written(tmp_path, region="us-gov-west-1", roles=[{"name": "a", "path": "/service/"}], users=[{"name": "u"}])
    assert [arn for arn, _ in read_world(path).principals] == [
        "arn:aws-us-gov:iam::123456789012:role/service/a",
        "arn:aws-us-gov:iam::123456789012:user/u",
    ]


def test_every_account_has_its_principals(tmp_path: Path) -> None:
    """The hub's principals come first, then each member's, under its own account."""
    member = {"111122223333": {"roles": [{"name": "a"}]}}
    world = read_world(written(tmp_path, users=[{"name": "u"}], accounts=member))
    assert [arn for arn, _ in world.principals] == [
        "arn:aws:iam::123456789012:user/u",
        "arn:aws:iam::111122223333:role/a",
    ]


def test_who_belongs_to_the_organization(tmp_path: Path) -> None:
    """Accounts are of one organization unless they say otherwise; a world of one account is of none."""
    members = {"111122223333": {}, "444455556666": {"organization": "o-another12345"}}
    world = read_world(written(tmp_path, accounts=members))
    asked = ["123456789012", "111122223333", "444455556666", "777788889999"]
    assert [world.organization_of(account) for account in asked] == [
        "o-example12345",
        "o-example12345",
        "o-another12345",
        None,
    ]
    assert read_world(written(tmp_path)).organization_of("123456789012") is None
    assert read_world(written(tmp_path, organization="o-mine123456")).organization_of("123456789012") == "o-mine123456"


def test_the_shipped_world_is_good() -> None:
    """The world that is taken when none is given can be read, and has a profile in more than one region."""
    assert len(read_world(DEFAULT_WORLD).inference_profiles) > 1


@pytest.mark.parametrize(
    ("parts", "told"),
    [
        ({"roels": []}, "unknown field `roels`"),
        ({"roles": [{"name": "a", "polices": {}}]}, "unknown field `polices`"),
        ({"account": "1234"}, "12 digits"),
        ({"account": 123456789012}, "Expected `str`"),
        ({"roles": [{"path": "/"}]}, "missing required field `name`"),
        ({"roles": [{"name": "a b"}]}, "not a name"),
        ({"roles": [{"name": "a", "path": "service"}]}, "begin and end with a slash"),
        ({"roles": [{"name": "App"}, {"name": "app", "path": "/x/"}]}, "app is there 2 times"),
        ({"users": [{"name": "u", "groups": ["g"]}]}, "no group g"),
        ({"roles": [{"name": "a", "inline": {"p": {"Statement": [{"Effect": "Alow"}]}}}]}, "Effect of Allow or Deny"),
        ({"scps": [{"Statement": []}, {"Version": "2012-10-17"}]}, "scps[1]"),
        (
            {"roles": [{"name": "a", "managed": {"P": ALLOW}}, {"name": "b", "managed": {"p": {**ALLOW, "Id": "x"}}}]},
            "given twice",
        ),
        ({"inference_profiles": {"us-east-1": [{"id": "x", "type": "SYSTEM", "models": []}]}}, "Invalid enum value"),
        (
            {"inference_profiles": {"us-east-1": [{"id": "x", "type": "APPLICATION", "models": []}] * 2}},
            "x is there 2 times",
        ),
        ({"accounts": {"111122223333": {"rols": []}}}, "unknown field `rols`"),
        ({"accounts": {"1111": {}}}, "accounts, 1111: an account's id has 12 digits"),
        ({"accounts": {"123456789012": {}}}, "123456789012 is the hub itself"),
        (
            {"accounts": {"111122223333": {"users": [{"name": "u", "groups": ["g"]}]}}},
            "111122223333: user u: no group g",
        ),
        ({"accounts": {"111122223333": {"stack": False, "regions": []}}}, "regions are those of its stack"),
        ({"accounts": {"111122223333": {"organization": "other"}}}, "organization is 'other'"),
    ],
)
def test_a_mistake_is_named(tmp_path: Path, parts: dict[str, Any], told: str) -> None:
    """An unknown key, and whatever IAM would not have, is an error that says where."""
    with pytest.raises(BadInputError, match=r"world\.json") as error:
        read_world(written(tmp_path, **parts))
    assert told in str(error.value)


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"Condition": {"StringEqualz": {"aws:SourceVpc": "vpc-1"}}}, "there is no condition operator 'StringEqualz'"),
    (
        {"Condition": {"ForSomeValues:StringEquals": {"aws:TagKeys": "a"}}},
        "operator 'ForSomeValues:String",
    ),
    ({"Condition": {"NullIfExists": {"aws:TagKeys": "true"}}}, "no condition operator 'NullIfExists'"),
    ({"Condition": {"Null": {"aws:TagKeys": "perhaps"}}}, "'perhaps' is not a value"),
    ({"Condition": {"NumericLessThan": {"aws:MultiFactorAuthAge": "an hour"}}}, "'an hour' is not a value"),
    ({"Condition": {"DateLessThan": {"aws:EpochTime": "9" * 30}}}, "is not a value"),
    ({"Condition": {"DateLessThan": {"aws:CurrentTime": ["2026-11-20", "soon"]}}}, "'soon' is not a value"),
    ({"Condition": {"IpAddress": {"aws:SourceIp": "10.0.0.0/40"}}}, "'10.0.0.0/40' is not a value"),
    ({"Condition": {"StringEquals": {"aws:SourceVpc": {"a": "b"}}}}, "is not a value"),
    ({"Condition": {"StringEquals": {"aws:SourceVpc": None}}}, "None is not a value"),
    ({"Condition": {"StringEquals": "vpc-1"}}, "a Condition maps operators to keys"),
    ({"Condition": ["StringEquals"]}, "a Condition maps operators to keys"),
    ({"Action": 1}, "either Action or NotAction"),
    ({"Action": []}, "either Action or NotAction"),
    ({"NotAction": "s3:*"}, "either Action or NotAction"),
    ({"Resource": ["*", None]}, "either Resource or NotResource"),
    ({"Principal": "*"}, "has no 'Principal'"),
    ({"Resources": "*"}, "has no 'Resources'"),
]


@pytest.mark.parametrize(("wrong", "told"), REFUSED)
@pytest.mark.parametrize(
    ("place", "where"),
    [
        (lambda bad: {"roles": [{"name": "app", "inline": {"base": bad}}]}, "role app, policy base: "),
        (lambda bad: {"groups": [{"name": "devs", "managed": {"Base": bad}}]}, "group devs, policy Base: "),
        (lambda bad: {"users": [{"name": "ana", "boundary": bad}]}, "user ana, permissions boundary: "),
        (lambda bad: {"scps": [bad]}, "scps[0]: "),
        (
            lambda bad: {"accounts": {"111122223333": {"roles": [{"name": "app", "inline": {"base": bad}}]}}},
            "accounts, 111122223333: role app, policy base: ",
        ),
    ],
)
def test_what_iam_refuses_to_write_is_refused(
    tmp_path: Path, wrong: dict[str, Any], told: str, place: Callable[[Any], dict[str, Any]], where: str
) -> None:
    """IAM takes no policy with an operator, an element or a value that it does not know; the principal is named."""
    statement = {"Effect": "Allow", "Action": "*", "Resource": "*", **wrong}
    with pytest.raises(BadInputError) as error:
        read_world(written(tmp_path, **place({"Version": "2012-10-17", "Statement": [statement]})))
    assert where in str(error.value)
    assert told in str(error.value)


@pytest.mark.parametrize("missing", ["Action", "Resource"])
def test_a_statement_without_action_or_resource_is_refused(tmp_path: Path, missing: str) -> None:
    """IAM takes no statement of a principal's policy that lacks one of them."""
    statement = {"Effect": "Allow", "Action": "*", "Resource": "*"}
    del statement[missing]
    with pytest.raises(BadInputError, match=f"either {missing} or Not{missing}"):
        read_world(written(tmp_path, roles=[{"name": "a", "inline": {"p": {"Statement": [statement]}}}]))


def test_a_version_that_there_is_not_is_refused(tmp_path: Path) -> None:
    """IAM knows two versions of the policy language."""
    with pytest.raises(BadInputError, match="role a, policy p: its Version is '2012-10-18'"):
        read_world(written(tmp_path, roles=[{"name": "a", "inline": {"p": {**ALLOW, "Version": "2012-10-18"}}}]))


@pytest.mark.parametrize(
    "condition",
    [
        {"ForAnyValue:StringLikeIfExists": {"aws:TagKeys": ["a*", "${aws:PrincipalTag/team}"]}},
        {"bool": {"aws:SecureTransport": True}, "Null": {"aws:TokenIssueTime": False}},
        {"NumericLessThanEquals": {"aws:MultiFactorAuthAge": 3600}, "DateGreaterThan": {"aws:EpochTime": "1790000000"}},
        {"NotIpAddress": {"aws:SourceIp": ["192.0.2.0/24", "2001:db8::/32"]}},
        {"ArnNotLikeIfExists": {"bedrock:InferenceProfileArn": "arn:aws:bedrock:*:*:application-inference-profile/*"}},
    ],
)
def test_what_iam_takes_is_taken(tmp_path: Path, condition: dict[str, Any]) -> None:
    """Every operator in any case, with its qualifiers; a value may be a text, a number, true or false, or a list."""
    statement = {"Sid": "A", "Effect": "Deny", "NotAction": ["s3:*"], "NotResource": "*", "Condition": condition}
    assert read_world(written(tmp_path, roles=[{"name": "a", "inline": {"p": {"Statement": statement}}}])).roles


def test_one_policy_for_two_roles(tmp_path: Path) -> None:
    """A managed policy that two principals share is given with each."""
    roles = [{"name": "a", "managed": {"P": ALLOW}}, {"name": "b", "managed": {"P": ALLOW}}]
    assert len(read_world(written(tmp_path, roles=roles)).roles) == 2


@pytest.mark.parametrize(
    ("text", "told"),
    [("a: 1\na: 2\n", "repeated key: a"), ("a: [", "expected"), ("a: \x07", "not allowed")],
)
def test_bad_yaml_is_told(tmp_path: Path, text: str, told: str) -> None:
    """A repeated key is an error, as is what is no YAML at all."""
    path = tmp_path / "world.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(BadInputError, match=r"world\.yaml") as error:
        read_document(path)
    assert told in str(error.value)


def test_a_policys_version_is_text(tmp_path: Path) -> None:
    """`Version: 2012-10-17` without quotes is text, as every policy means it."""
    path = tmp_path / "world.yaml"
    path.write_text("Version: 2012-10-17\n", encoding="utf-8")
    assert read_document(path) == {"Version": "2012-10-17"}


@pytest.mark.parametrize(
    ("text", "objects"),
    [
        ('{"a": 1}', [{"a": 1}]),
        ('[{"a": 1}, {"b": 2}]', [{"a": 1}, {"b": 2}]),
        ('{"a": 1}\n\n{"b": 2}\n', [{"a": 1}, {"b": 2}]),
    ],
)
def test_events_come_in_three_forms(text: str, objects: list[Any]) -> None:
    """One JSON value, an array, or a line each."""
    assert read_objects(text, "x") == objects


@pytest.mark.parametrize("text", ["", "  \n", '{"a": 1}\nnonsense\n'])
def test_what_is_no_json_is_told(text: str) -> None:
    """Nothing at all, or a line that is no JSON, is bad input."""
    with pytest.raises(BadInputError, match="x:"):
        read_objects(text, "x")


def test_aws_managed_policies_are_known() -> None:
    """AWS managed policies come by their ARN, path included."""
    arn = "arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole"
    assert aws_managed_path(arn) == "/service-role/"
    assert (
        aws_managed_document("arn:aws:iam::aws:policy/AWSCompromisedKeyQuarantineV3")["Statement"][0]["Effect"]
        == "Deny"
    )


@pytest.mark.parametrize("name", ["NoSuchPolicy", "AWSLambdaBasicExecutionRole"])
def test_an_aws_managed_policy_that_is_not_there(name: str) -> None:
    """A name that AWS does not have, or not under that path, is bad input."""
    with pytest.raises(BadInputError, match=name):
        aws_managed_document(f"arn:aws:iam::aws:policy/{name}")


@pytest.mark.parametrize(
    ("region", "partition"),
    [("eu-west-1", "aws"), ("cn-north-1", "aws-cn"), ("us-gov-east-1", "aws-us-gov"), ("us-isob-east-1", "aws-iso-b")],
)
def test_partitions(region: str, partition: str) -> None:
    """A region's name tells its partition."""
    assert partition_of(region) == partition
