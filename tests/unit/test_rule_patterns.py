"""Which patterns a rule may hold."""

import pytest

from bedrock_remediator.core.allowlist.rules import model_pattern, principal_pattern, profile_pattern, shown

LONG = "x" * 2100


@pytest.mark.parametrize(
    "text",
    [
        "arn:aws:iam::123456789012:role/app",
        "arn:aws:iam::*:role/llm-*",
        "arn:aws:iam::*:role/**",
        "arn:aws:iam::*:**",
        "arn:aws:iam::*:*/app",
        "arn:*:iam::1234567890??:user/team/**",
        "arn:aws-us-gov:iam::**:ro?e/app",
    ],
)
def test_principal_patterns_taken(text: str) -> None:
    """ARNs of roles and users, with wildcards anywhere but in the service."""
    assert principal_pattern(text) == text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "printable ASCII"),
        ("arn:aws:iam::*:role/my app", "printable ASCII"),
        ("arn:aws:iam::*:role/\u0430pp", "printable ASCII"),
        ("arn:aws:iam::*:role/app\n", "printable ASCII"),
        (f"arn:aws:iam::*:role/{LONG}", "longer than any ARN"),
        ("arn:aws:iam::*:role/${aws:username}", "a policy variable"),
        ("arn:aws:iam::*:role/app[12]", "holds a bracket"),
        ("arn:aws:iam::*:role/{a,b}", "holds a bracket"),
        ("arn:aws:iam::*:role/***", "holds ***"),
        ("*", "is not the ARN of a role or user"),
        ("llm-app", "is not the ARN of a role or user"),
        ("ARN:aws:iam::*:role/app", "is not the ARN of a role or user"),
        ("arn:AWS:iam::*:role/app", "is not the ARN of a role or user"),
        ("arn:aws:sts::123456789012:assumed-role/app/session", "names a session"),
        ("arn:aws:s3::123456789012:role/app", "is not an IAM ARN"),
        ("arn:aws:*::123456789012:role/app", "is not an IAM ARN"),
        ("arn:aws:iam:us-east-1:123456789012:role/app", "is not an IAM ARN"),
        ("arn:aws:iam::12345:role/app", "has a bad account id"),
        ("arn:aws:iam:::role/app", "has a bad account id"),
        ("arn:aws:iam::account:role/app", "has a bad account id"),
        ("arn:aws:iam::123456789012:root", "must name role/"),
        ("arn:aws:iam::123456789012:group/ml", "must name role/"),
        ("arn:aws:iam::123456789012:role", "must name role/"),
        ("arn:aws:iam::*:*", "matches no role or user"),
        ("arn:aws:iam::*:role/", "matches no role or user"),
        ("arn:aws:iam::*:role/llm/", "matches no role or user"),
    ],
)
def test_principal_patterns_refused(text: str, message: str) -> None:
    """A pattern that is malformed, or that no role or user can be of, is refused with the reason."""
    with pytest.raises(ValueError, match=r".") as caught:
        principal_pattern(text)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "*",
        "us.amazon.nova-*",
        "*.nova-?-lite-v1:0",
        "global.amazon.nova-2-lite-v1:0",
        "arn:*",
        "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/q7xk2m9p0abc",
        "arn:aws:bedrock:*:123456789012:inference-profile/us.*",
        "arn:aws:*:us-east-1:123456789012:*/us.amazon.*",
        "arn:aws:bedrock:*inference-profile/*",
    ],
)
def test_profile_patterns_taken(text: str) -> None:
    """Ids of inference profiles, or ARNs of either kind of them."""
    assert profile_pattern(text) == text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("us.amazon.[nova]", "holds a bracket"),
        ("us.amazon.nova-${x}", "a policy variable"),
        ("inference-profile/us.amazon.nova-lite-v1:0", "neither the id of inference profiles nor a whole ARN"),
        ("amazon.nova-lite-v1:0", "names a model"),
        ("anthropic.claude-*", "a rule about models goes under models:"),
        ("Anthropic.Claude-*", "a rule about models goes under models:"),
        ("Arn:aws:bedrock:*", "neither the id of inference profiles nor a whole ARN that begins with arn:"),
        ("ARN:*", "neither the id of inference profiles nor a whole ARN that begins with arn:"),
        ("arn:aws:bedrock:us-east-1::foundation-model/amazon.nova-lite-v1:0", "does not name inference profiles"),
        ("arn:aws:bedrock:*:*:*/foundation-model/*", "does not name inference profiles"),
        ("arn:*foundation-model/*", "does not name inference profiles"),
        ("arn:aws:bedrock:us-east-1:123456789012:provisioned-model/abc", "does not name inference profiles"),
        ("arn:aws:bedrock", "does not name inference profiles"),
        ("arn:aws:s3:us-east-1:123456789012:inference-profile/x", "is not an ARN of bedrock"),
    ],
)
def test_profile_patterns_refused(text: str, message: str) -> None:
    """What names no inference profile is refused, a model above all."""
    with pytest.raises(ValueError, match=r".") as caught:
        profile_pattern(text)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        "amazon.titan-embed-*",
        "*",
        "arn:aws:bedrock:us-east-1::foundation-model/amazon.*",
        "arn:aws:bedrock:::foundation-model/amazon.*",
        "arn:*:foundation-model/amazon.titan-embed-text-v2:0",
    ],
)
def test_model_patterns_taken(text: str) -> None:
    """Ids or ARNs of foundation models."""
    assert model_pattern(text) == text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("us.amazon.nova-lite-v1:0", "which goes under profiles:"),
        ("global.*", "which goes under profiles:"),
        ("US.Anthropic.*", "which goes under profiles:"),
        ("Arn:aws:bedrock:*", "neither the id of foundation models nor a whole ARN that begins with arn:"),
        ("arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.x", "does not name foundation models"),
        ("arn:aws:bedrock:us-east-1:123456789012:*inference-profile/x", "does not name foundation models"),
        ("foundation-model/amazon.nova-lite-v1:0", "neither the id of foundation models nor a whole ARN"),
    ],
)
def test_model_patterns_refused(text: str, message: str) -> None:
    """What names no foundation model is refused, an inference profile above all."""
    with pytest.raises(ValueError, match=r".") as caught:
        model_pattern(text)
    assert message in str(caught.value)


def test_text_is_quoted_safely() -> None:
    """A message quotes what a document says in ASCII, on one line, and not at any length."""
    assert shown("a\n\u202eb") == r"'a\n\u202eb'"
    assert shown(LONG) == f"'{'x' * 76}..."
