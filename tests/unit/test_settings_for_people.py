"""The settings of the functions that people meet: read once, and refused by name."""

from collections.abc import Callable, Mapping
from datetime import timedelta

import msgspec
import pytest

from bedrock_remediator.approval_settings import ApproverAuth, ApproveSettings
from bedrock_remediator.environment import SettingError, address
from bedrock_remediator.settings import LinkSettings, Mode, RemediateSettings, SlackSettings, UpkeepSettings

POLICY = {
    "LEDGER_TABLE": "ledger",
    "MODE": "approve",
    "PAUSED": "false",
    "POLICY_STRATEGY": "managed",
    "ALLOWLIST_PATH": "/allowlist",
    "ENROLLED_ACCOUNTS": "",
    "EXTRA_ACTIONS": "bedrock:UseInferenceProfile",
    "GRANTABLE_PRINCIPALS": "arn:aws:iam::*:role/*",
    "DEFAULT_GRANT_DAYS": "0",
    "PRINCIPAL_GRANTS_PER_DAY": "10",
    "PROBE_PROFILES": "8",
    "PROBE_WINDOW_MINUTES": "60",
    "UNKNOWN_CALLER_ASKS": "true",
}
LINKS = {"APPROVAL_KEYS_SECRET_ARN": "arn:keys", "APPROVAL_LAPSE_HOURS": "72"}
OIDC = {
    "OIDC_ISSUER": "https://login.example.com/tenant/",
    "OIDC_CLIENT_ID": "client",
    "OIDC_CLIENT_SECRET_ARN": "arn:secret",
    "OIDC_CLAIM": "groups",
    "OIDC_CLAIM_VALUE": "approvers",
}
SLACK = {
    "SLACK_SIGNING_SECRET_ARN": "arn:signing",
    "SLACK_TOKEN_SECRET_ARN": "arn:token",
    "SLACK_TEAM_ID": "T0123",
    "SLACK_APP_ID": "A0123",
    "SLACK_APPROVERS": "U0123, S0456",
    "SLACK_API_URL": "https://slack.com/api/",
    "SLACK_QUEUE_URL": "https://sqs/messages",
}
APPROVE = {
    **{name: POLICY[name] for name in ("LEDGER_TABLE", "MODE", "PAUSED", "POLICY_STRATEGY", "EXTRA_ACTIONS")},
    **LINKS,
    **dict.fromkeys(OIDC, ""),
    **dict.fromkeys(SLACK, ""),
    "MAX_GRANT_DAYS": "0",
    "APPROVAL_KEY_ID": "alias/approvals",
    "APPROVER_AUTH": "link",
    "APPROVER_ROLE_ARNS": "",
}
UPKEEP = {
    **POLICY,
    "APPROVAL_LAPSE_HOURS": "72",
    "NOTICES_TOPIC_ARN": "arn:notices",
    "NOTICES_PER_HOUR": "100",
    "APPROVALS_TOPIC_ARN": "arn:approvals",
    "AMAZON_Q_TOPIC_ARN": "",
    "APPROVALS_EMAIL": "",
    "NOTICES_EMAIL": "ops@example.com",
}
SLACK_FUNCTION = {
    **{name: POLICY[name] for name in ("LEDGER_TABLE", "POLICY_STRATEGY", "EXTRA_ACTIONS")},
    **{name: value for name, value in SLACK.items() if name.endswith(("URL", "TOKEN_SECRET_ARN", "APPROVERS"))},
    "SLACK_CHANNEL_ID": "C0123",
    "MAX_GRANT_DAYS": "0",
}
REMEDIATE = {
    **POLICY,
    "VERIFY_SECONDS": "60",
    "APPROVAL_KEY_ID": "alias/approvals",
    "USED_APPROVALS_TABLE": "used",
    "EDIT_KEY_ID": "",
}


@pytest.mark.parametrize(
    ("text", "accounts"), [("", ()), ("*", ("*",)), ("111122223333, 444455556666", ("111122223333", "444455556666"))]
)
def test_enrolled_accounts(text: str, accounts: tuple[str, ...]) -> None:
    """None, all, or those that are named."""
    assert RemediateSettings.read({**REMEDIATE, "ENROLLED_ACCOUNTS": text}).policy.enrolled_accounts == accounts


@pytest.mark.parametrize("text", ["1234", "11112222333*", "o-exampleorgid"])
def test_other_words_enrol_nothing(text: str) -> None:
    """A pattern that looks like an account would enrol none, or too many."""
    with pytest.raises(SettingError, match=r"^ENROLLED_ACCOUNTS"):
        RemediateSettings.read({**REMEDIATE, "ENROLLED_ACCOUNTS": text})


def test_approve_with_links_alone() -> None:
    """Nothing but links, and no maximum."""
    settings = ApproveSettings.read(APPROVE)
    assert (settings.auth, settings.oidc, settings.slack) == (ApproverAuth.LINK, None, None)
    assert (settings.longest, settings.approver_roles, settings.mode) == (None, (), Mode.APPROVE)
    assert settings.links == LinkSettings.read(LINKS)


def test_approve_with_everything() -> None:
    """Sign-in, Slack, the API and a maximum."""
    role = "arn:aws:iam::123456789012:role/people/approver"
    settings = ApproveSettings.read(
        {**APPROVE, **OIDC, **SLACK, "APPROVER_AUTH": "oidc", "MAX_GRANT_DAYS": "90", "APPROVER_ROLE_ARNS": role}
    )
    assert settings.oidc is not None
    assert msgspec.to_builtins(settings.oidc) == {
        "issuer": "https://login.example.com/tenant/",
        "client_id": "client",
        "client_secret_arn": "arn:secret",
        "claim": "groups",
        "claim_value": "approvers",
    }
    assert settings.slack is not None
    assert msgspec.to_builtins(settings.slack) == {
        "signing_secret_arn": "arn:signing",
        "token_secret_arn": "arn:token",
        "team_id": "T0123",
        "app_id": "A0123",
        "approvers": ("U0123", "S0456"),
        "api_url": "https://slack.com/api/",
        "queue_url": "https://sqs/messages",
    }
    assert (settings.longest, settings.approver_roles) == (timedelta(days=90), (role,))


def test_a_client_may_be_public() -> None:
    """It has PKCE alone."""
    oidc = ApproveSettings.read({**APPROVE, **OIDC, "OIDC_CLIENT_SECRET_ARN": "", "APPROVER_AUTH": "oidc"}).oidc
    assert oidc is not None
    assert oidc.client_secret_arn is None


@pytest.mark.parametrize(
    "issuer",
    [
        "https://accounts.google.com",
        "https://login.microsoftonline.com/common/v2.0",
        "https://appleid.apple.com",
        "https://cognito-idp.us-east-1.amazonaws.com/us-east-1_abc",
        "https://login.example.com/tenant/",
    ],
)
@pytest.mark.parametrize("lacking", [("OIDC_CLAIM", "OIDC_CLAIM_VALUE"), ("OIDC_CLAIM",), ("OIDC_CLAIM_VALUE",)])
def test_nobody_approves_merely_because_they_can_sign_in(issuer: str, lacking: tuple[str, ...]) -> None:
    """Without a claim and its value the function does not start, whoever the issuer is."""
    given = {**APPROVE, **OIDC, "APPROVER_AUTH": "oidc", "OIDC_ISSUER": issuer, **dict.fromkeys(lacking, "")}
    with pytest.raises(SettingError, match="OIDC_CLAIM"):
        ApproveSettings.read(given)


def test_a_provider_may_run_on_this_machine() -> None:
    """For tests; no other address may go without TLS."""
    local = {**APPROVE, **OIDC, "APPROVER_AUTH": "oidc", "OIDC_ISSUER": "http://127.0.0.1:8080/realm"}
    settings = ApproveSettings.read(local)
    assert settings.oidc is not None
    assert settings.oidc.issuer == "http://127.0.0.1:8080/realm"


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"APPROVER_AUTH": ""}, "APPROVER_AUTH"),
        ({"APPROVER_AUTH": "nobody"}, "APPROVER_AUTH"),
        ({"MAX_GRANT_DAYS": "-1"}, "MAX_GRANT_DAYS"),
        ({"MAX_GRANT_DAYS": "3651"}, "MAX_GRANT_DAYS"),
        ({"APPROVAL_KEY_ID": ""}, "APPROVAL_KEY_ID"),
        ({"APPROVER_ROLE_ARNS": "arn:aws:iam::123456789012:user/alice"}, "APPROVER_ROLE_ARNS"),
        ({"APPROVAL_LAPSE_HOURS": "0"}, "APPROVAL_LAPSE_HOURS"),
        ({**OIDC, "APPROVER_AUTH": "oidc", "OIDC_ISSUER": ""}, "OIDC_ISSUER"),
        ({**OIDC, "APPROVER_AUTH": "oidc", "OIDC_ISSUER": "http://login.example.com"}, "OIDC_ISSUER"),
        ({**OIDC, "APPROVER_AUTH": "oidc", "OIDC_CLIENT_ID": ""}, "OIDC_CLIENT_ID"),
        ({**OIDC, "APPROVER_AUTH": "oidc", "OIDC_CLAIM": ""}, "OIDC_CLAIM"),
        ({**SLACK, "SLACK_TEAM_ID": ""}, "SLACK_TEAM_ID"),
        ({**SLACK, "SLACK_APPROVERS": ""}, "SLACK_APPROVERS"),
        ({**SLACK, "SLACK_APPROVERS": "@alice"}, "SLACK_APPROVERS"),
    ],
)
def test_what_is_bad_is_refused_by_its_name(changes: Mapping[str, str], name: str) -> None:
    """At start, and not on the first click."""
    with pytest.raises(SettingError, match=name):
        ApproveSettings.read({**APPROVE, **changes})


def test_the_page_and_slack_agree_on_how_long_a_grant_may_last() -> None:
    """What one refuses at start, the other does not offer."""
    assert SlackSettings.read({**SLACK_FUNCTION, "MAX_GRANT_DAYS": "3650"}).longest == timedelta(days=3650)
    with pytest.raises(SettingError, match="MAX_GRANT_DAYS"):
        SlackSettings.read({**SLACK_FUNCTION, "MAX_GRANT_DAYS": "3651"})


@pytest.mark.parametrize(
    ("read", "variables"),
    [
        (ApproveSettings.read, APPROVE),
        (UpkeepSettings.read, UPKEEP),
        (SlackSettings.read, SLACK_FUNCTION),
        (LinkSettings.read, LINKS),
        (RemediateSettings.read, REMEDIATE),
    ],
)
def test_every_variable_is_needed(read: Callable[[Mapping[str, str]], object], variables: dict[str, str]) -> None:
    """One that may be empty must still be set: the template sets them all."""
    read(variables)
    for name in variables:
        with pytest.raises(SettingError, match=name):
            read({other: value for other, value in variables.items() if other != name})


@pytest.mark.parametrize("url", ["http://example.com", "https://example.com/", "https://example.com?x", "example.com"])
def test_the_address_of_the_api_is_one(url: str) -> None:
    """Links begin with it."""
    with pytest.raises(ValueError, match="https"):
        address(url)
    assert address("https://a1b2c3.execute-api.us-east-1.amazonaws.com")
