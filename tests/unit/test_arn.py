"""ARNs: what is read, and what never becomes a value."""

import pytest

from bedrock_remediator.core.arn import Arn, ArnError, AssumedRole, BedrockResource, Principal, is_model_id


@pytest.mark.parametrize(
    "text",
    [
        "arn:aws:bedrock:us-east-1:111122223333:inference-profile/us.amazon.nova-2-lite-v1:0",
        "arn:aws:bedrock:us-east-1::foundation-model/amazon.nova-2-lite-v1:0",
        "arn:aws:bedrock:::foundation-model/amazon.nova-2-lite-v1:0",
        "arn:aws-us-gov:iam::aws:policy/AdministratorAccess",
        "arn:aws-cn:iam::111122223333:role/a/b",
    ],
)
def test_an_arn_reads_and_writes_as_itself(text: str) -> None:
    """Every partition, with or without region and account, survives the round."""
    assert str(Arn.parse(text)) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "arn:aws:bedrock:us-east-1:111122223333:",
        "arn:aws:bedrock:us-east-1:111122223333:inference-profile/*",
        "arn:aws:bedrock:us-east-1:111122223333:inference-profile/a?",
        "arn:aws:bedrock:us-east-1:111122223333:inference-profile/${aws:username}",
        "arn:aws:bedrock:us-east-1:1111:inference-profile/a",
        "arn:aws:bedrock:us-east-1:111122223333:inference-profile/a b",
        "arn:aws:bedrock:us-east-1:111122223333:inference-profile/a\n",
        "arn:aws:bedrock:us-east-1:\uff1111122223333:inference-profile/a",
        "arn:AWS:bedrock:us-east-1:111122223333:inference-profile/a",
        "x arn:aws:bedrock:us-east-1:111122223333:inference-profile/a",
    ],
)
def test_what_is_no_arn_is_an_error_that_says_so(text: str) -> None:
    """Wildcards, policy variables, white space and anything else that no ARN has are refused."""
    with pytest.raises(ArnError, match="not an ARN") as error:
        Arn.parse(text)
    assert error.value.text == text


def test_a_principal_keeps_its_path() -> None:
    """A role's or user's ARN gives kind, path and name, and back."""
    for text, kind, path, name in (
        ("arn:aws:iam::111122223333:role/service/team/app", "role", "/service/team/", "app"),
        ("arn:aws:iam::111122223333:user/dev@example.com", "user", "/", "dev@example.com"),
    ):
        principal = Principal.parse(text)
        assert (principal.kind, principal.path, principal.name, principal.arn) == (kind, path, name, text)


@pytest.mark.parametrize(
    "text",
    [
        "arn:aws:iam::111122223333:root",
        "arn:aws:iam::111122223333:group/ml",
        "arn:aws:iam::aws:policy/X",
        "arn:aws:iam:us-east-1:111122223333:role/app",
        "arn:aws:sts::111122223333:assumed-role/app/session",
    ],
)
def test_other_arns_are_no_principal(text: str) -> None:
    """Only roles and users can be given a policy here."""
    with pytest.raises(ArnError):
        Principal.parse(text)


def test_roles_of_aws_are_known() -> None:
    """Identity Center's and service-linked roles are known by path, or by name where the path is not known."""
    for role in ("aws-reserved/sso.amazonaws.com/AWSReservedSSO_x_1", "AWSReservedSSO_x_1"):
        assert Principal.parse(f"arn:aws:iam::111122223333:role/{role}").identity_center
    for role in ("aws-service-role/x.amazonaws.com/AWSServiceRoleForX", "AWSServiceRoleForX"):
        principal = Principal.parse(f"arn:aws:iam::111122223333:role/{role}")
        assert principal.service_owned
        assert not principal.identity_center
    assert not Principal.parse("arn:aws:iam::111122223333:role/app").service_owned


def test_a_session_gives_its_role() -> None:
    """An STS session's ARN gives the role's name and the session's."""
    session = AssumedRole.parse("arn:aws:sts::111122223333:assumed-role/app/me@example.com")
    assert (session.role, session.session, session.account) == ("app", "me@example.com", "111122223333")
    with pytest.raises(ArnError):
        AssumedRole.parse("arn:aws:iam::111122223333:role/app")


def test_a_bedrock_resource_has_kind_and_id() -> None:
    """A Bedrock ARN is a profile, a model or another kind, and does not end at the first dot or colon."""
    profile = BedrockResource.parse("arn:aws:bedrock:us-east-1:111122223333:application-inference-profile/q7xk2m9p0abc")
    model = BedrockResource.parse("arn:aws:bedrock:::foundation-model/anthropic.claude-v2:1")
    assert (profile.is_profile, profile.is_model, profile.id) == (True, False, "q7xk2m9p0abc")
    assert (model.is_profile, model.is_model, model.id) == (False, True, "anthropic.claude-v2:1")
    assert str(model) == "arn:aws:bedrock:::foundation-model/anthropic.claude-v2:1"
    for text in (
        "arn:aws:s3:::bucket/key",
        "arn:aws:bedrock:us-east-1:111122223333:guardrail",
        "arn:aws:bedrock:::x/(y)",
    ):
        with pytest.raises(ArnError):
            BedrockResource.parse(text)


def test_a_model_id_is_no_arn() -> None:
    """Identifiers hold letters, digits, dots, colons, dashes and underscores."""
    assert is_model_id("us.amazon.nova-2-lite-v1:0")
    for text in ("", "arn:aws:bedrock:::x", "a b", "a*", "${x}", "x" * 257):
        assert not is_model_id(text)
