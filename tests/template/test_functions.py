from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path

import pytest

from bedrock_remediator.approval_settings import ApproverAuth, ApproveSettings, OidcSettings, SlackApprovalSettings
from bedrock_remediator.core.suspicion import ProbeLimits
from bedrock_remediator.flows.slack.posting import HELD
from bedrock_remediator.settings import (
    LinkSettings,
    NotifySettings,
    PolicySettings,
    RemediateSettings,
    SlackSettings,
    TriageSettings,
    UpkeepSettings,
)
from sandbox.template import Stack, transformed

FUNCTIONS = {
    "TriageFunction": "triage",
    "RemediateFunction": "remediate",
    "NotifyFunction": "notify",
    "ApproveFunction": "approve",
    "SlackFunction": "slack",
    "UpkeepFunction": "upkeep",
}
ALWAYS = sorted(set(FUNCTIONS) - {"SlackFunction"})
READERS: dict[str, Callable[[Mapping[str, str]], object]] = {
    "TriageFunction": TriageSettings.read,
    "RemediateFunction": RemediateSettings.read,
    "NotifyFunction": NotifySettings.read,
    "ApproveFunction": ApproveSettings.read,
    "SlackFunction": SlackSettings.read,
    "UpkeepFunction": UpkeepSettings.read,
}


class Recorder(dict[str, str]):
    """Variables that remember which of them were asked for."""

    def __init__(self, variables: Mapping[str, str]) -> None:
        super().__init__(variables)
        self.read: set[str] = set()

    def __getitem__(self, name: str) -> str:
        self.read.add(name)
        return super().__getitem__(name)

    def get(self, name: str, default: str = "") -> str:  # type: ignore[override]  # as the settings use it
        """The variable, or the default."""
        self.read.add(name)
        return super().get(name, default)

    def __contains__(self, name: object) -> bool:
        self.read.add(str(name))
        return super().__contains__(name)


def variables(stack: Stack, function: str) -> dict[str, str]:
    """A function's environment."""
    return dict(stack.properties(function)["Environment"]["Variables"])


def test_these_are_the_functions(stack: Stack, whole: Stack) -> None:
    """Each has its own folder and its own role; slack is there only where Slack is."""
    assert sorted(stack.of_type("AWS::Lambda::Function")) == ALWAYS
    found = whole.of_type("AWS::Lambda::Function")
    assert {name: each["Code"]["S3Key"] for name, each in found.items()} == {
        name: f"functions/{folder}" for name, folder in FUNCTIONS.items()
    }
    assert {name: each["Role"] for name, each in found.items()} == {
        name: whole.arn(name.replace("Function", "Role")) for name in FUNCTIONS
    }


@pytest.mark.parametrize("function", FUNCTIONS)
def test_functions_run_the_layer_on_the_runtime_it_is_built_for(whole: Stack, function: str) -> None:
    """Python 3.13 with the one layer, traced by Lambda itself."""
    properties = whole.properties(function)
    ((layer, layer_properties),) = whole.of_type("AWS::Lambda::LayerVersion").items()
    assert properties["Runtime"] == "python3.13"
    assert layer_properties["CompatibleRuntimes"] == ["python3.13"]
    assert properties["Handler"] == "app.handler"
    assert properties["Layers"] == [whole.ref(layer)]
    assert layer_properties["Content"]["S3Key"] == "layers/remediator"
    assert properties["TracingConfig"] == {"Mode": "Active"}


@pytest.mark.parametrize("architecture", ["arm64", "x86_64"])
def test_the_architecture_is_a_parameter(deploy: Callable[..., Stack], architecture: str) -> None:
    """And the layer fits both."""
    stack = deploy(Architecture=architecture)
    assert {each["Architectures"][0] for each in stack.of_type("AWS::Lambda::Function").values()} == {architecture}
    (layer,) = stack.of_type("AWS::Lambda::LayerVersion").values()
    assert architecture in layer["CompatibleArchitectures"]


@pytest.mark.parametrize("function", FUNCTIONS)
def test_the_environment_is_what_the_settings_read(whole: Stack, function: str) -> None:
    """Every variable that a function reads is set, and none is set that it does not read."""
    check_environment(variables(whole, function), function)


@pytest.mark.parametrize("function", ALWAYS)
def test_the_defaults_are_good_settings(stack: Stack, function: str) -> None:
    """The functions start with what a deployment gives them where nothing is chosen."""
    check_environment(variables(stack, function), function)


def check_environment(given: Mapping[str, str], function: str) -> None:
    """What is set is what is read; the SDK reads one itself, with which older ones ask STS in their own region too."""
    recorder = Recorder(given)
    READERS[function](recorder)
    assert given.get("AWS_STS_REGIONAL_ENDPOINTS") == ("regional" if "ENROLLED_ACCOUNTS" in given else None)
    powertools = {name for name in given if name.startswith("POWERTOOLS_")}
    assert recorder.read == set(given) - powertools - {"AWS_STS_REGIONAL_ENDPOINTS"}
    # And not POWERTOOLS_LOGGER_LOG_EVENT: approve's events hold tokens and cookies.
    assert powertools == {"POWERTOOLS_SERVICE_NAME", "POWERTOOLS_METRICS_NAMESPACE", "POWERTOOLS_LOG_LEVEL"}


@pytest.mark.parametrize("function", FUNCTIONS)
def test_logs_and_metrics_carry_the_functions_name(whole: Stack, function: str) -> None:
    """In one namespace, with the service as the dimension."""
    given = variables(whole, function)
    assert given["POWERTOOLS_SERVICE_NAME"] == FUNCTIONS[function]
    assert given["POWERTOOLS_METRICS_NAMESPACE"] == "BedrockAccessRemediator"


def test_parameters_reach_triage_remediate_and_upkeep(deploy: Callable[..., Stack]) -> None:
    """They decide by the same policy settings."""
    stack = deploy(
        Mode="auto",
        Paused="true",
        PolicyStrategy="inline",
        AllowlistPath="/mine",
        ExtraActions="",
        GrantablePrincipals="arn:aws:iam::111122223333:role/llm-*,arn:aws:iam::111122223333:user/*",
        DefaultGrantDays="30",
        VerifySeconds="5",
        ApprovalLapseHours="24",
        MaxGrantsPerPrincipal="3",
        ProbeProfiles="4",
        ProbeWindowMinutes="90",
        OpenRequestsPerPrincipal="3",
        UnknownCallerAsks="false",
        OrganizationId="o-exampleorgid",
        EnrolledAccounts="444455556666,777788889999",
        MaxNoticesPerHour="7",
    )
    upkeep = UpkeepSettings.read(variables(stack, "UpkeepFunction"))
    triage = TriageSettings.read(variables(stack, "TriageFunction"))
    remediate = RemediateSettings.read(variables(stack, "RemediateFunction"))
    assert (
        triage.policy
        == remediate.policy
        == upkeep.policy
        == PolicySettings.read(
            {
                "LEDGER_TABLE": stack.ref("Ledger"),
                "MODE": "auto",
                "PAUSED": "true",
                "POLICY_STRATEGY": "inline",
                "ALLOWLIST_PATH": "/mine",
                "EXTRA_ACTIONS": "",
                "GRANTABLE_PRINCIPALS": "arn:aws:iam::111122223333:role/llm-*,arn:aws:iam::111122223333:user/*",
                "DEFAULT_GRANT_DAYS": "30",
                "PRINCIPAL_GRANTS_PER_DAY": "3",
                "PROBE_PROFILES": "4",
                "PROBE_WINDOW_MINUTES": "90",
                "UNKNOWN_CALLER_ASKS": "false",
                "ENROLLED_ACCOUNTS": "444455556666,777788889999",
            }
        )
    )
    assert triage.policy.probes == ProbeLimits(
        profiles=4, window=timedelta(minutes=90), grants_a_day=3, unknown_caller_asks=False
    )
    assert remediate.verify_seconds == 5
    assert triage.refused_queue_url == stack.ref("DenialsDeadLetters")
    assert triage.open_requests == 3
    assert upkeep.lapse_hours == 24
    assert upkeep.notices_an_hour == NotifySettings.read(variables(stack, "NotifyFunction")).notices_an_hour == 7
    assert upkeep.notices_topic_arn == stack.arn("Notices")


def test_notify_knows_the_topics_and_the_page(stack: Stack, whole: Stack) -> None:
    """By their ARNs, and by the API's address; Amazon Q's topic only where there is one."""
    settings = NotifySettings.read(variables(stack, "NotifyFunction"))
    assert settings.approvals_topic_arn == stack.arn("Approvals")
    assert settings.notices_topic_arn == stack.arn("Notices")
    assert settings.amazon_q_topic_arn is None
    assert settings.approval_url == f"https://{stack.ref('ApprovalApi')}.execute-api.us-east-1.amazonaws.com"
    assert settings.links == LinkSettings(keys_secret_arn=stack.ref("LinkKeys"), lapse_hours=72)
    assert NotifySettings.read(variables(whole, "NotifyFunction")).amazon_q_topic_arn == whole.arn("AmazonQ")


def test_approve_knows_who_may_approve(stack: Stack, whole: Stack, everything: Mapping[str, str]) -> None:
    """Whoever has the link by default; with everything switched on the provider, the roles and Slack's people."""
    plain = ApproveSettings.read(variables(stack, "ApproveFunction"))
    assert (plain.auth, plain.oidc, plain.slack, plain.approver_roles) == (ApproverAuth.LINK, None, None, ())
    settings = ApproveSettings.read(variables(whole, "ApproveFunction"))
    assert settings.approver_roles == (everything["ApproverRoleArns"],)
    assert settings.oidc == OidcSettings(
        issuer=everything["OidcIssuer"],
        client_id="client",
        client_secret_arn=everything["OidcClientSecretArn"],
        claim="groups",
        claim_value="Bedrock approvers",
    )
    assert settings.slack == SlackApprovalSettings(
        signing_secret_arn=everything["SlackSigningSecretArn"],
        token_secret_arn=everything["SlackTokenSecretArn"],
        team_id="T0123",
        app_id="A0123",
        approvers=("U0123", "S0456"),
        api_url="https://slack.com/api/",
        queue_url=whole.ref("SlackMessages"),
    )


def test_approve_and_remediate_know_the_same_key(stack: Stack) -> None:
    """By its ARN: an alias could be pointed at another key."""
    approve = ApproveSettings.read(variables(stack, "ApproveFunction"))
    remediate = RemediateSettings.read(variables(stack, "RemediateFunction"))
    assert approve.approval_key_id == remediate.approval_key_id == stack.arn("ApprovalKey")


@pytest.mark.parametrize("strategy", ["managed", "inline", "in-place"])
def test_the_keys_stay_whatever_the_strategy(deploy: Callable[..., Stack], strategy: str) -> None:
    """A stack that leaves in-place for a while, or is deleted, keeps the key by which its edits are told."""
    stack = deploy(PolicyStrategy=strategy)
    read = RemediateSettings.read(variables(stack, "RemediateFunction"))
    assert read.edit_key_id == stack.arn("EditKey") != read.approval_key_id
    for name in ("EditKey", "ApprovalKey"):
        kept = stack.resources[name]
        assert (kept["DeletionPolicy"], kept["UpdateReplacePolicy"], kept.get("Condition")) == (
            "Retain",
            "Retain",
            None,
        )


def test_approve_and_notify_agree_on_links(deploy: Callable[..., Stack]) -> None:
    """On the keys, and on how long a link is good for."""
    stack = deploy(ApprovalLapseHours="24", MaxGrantDays="90")
    approve = ApproveSettings.read(variables(stack, "ApproveFunction"))
    assert approve.links == NotifySettings.read(variables(stack, "NotifyFunction")).links
    assert approve.links.lapse_hours == 24
    assert approve.longest == timedelta(days=90)


def test_slack_knows_its_channel_and_queue(whole: Stack, everything: Mapping[str, str]) -> None:
    """And who may press its buttons; without the signing secret there are none."""
    settings = SlackSettings.read(variables(whole, "SlackFunction"))
    assert settings.token_secret_arn == everything["SlackTokenSecretArn"]
    assert settings.channel_id == "C0123"
    assert settings.queue_url == whole.ref("SlackMessages")
    assert settings.approvers == ("U0123", "S0456")


def test_slack_may_only_show(deploy: Callable[..., Stack], everything: Mapping[str, str]) -> None:
    """With a channel and a token it posts; nobody decides there, and approve knows nothing of it."""
    stack = deploy(**{name: everything[name] for name in ("SlackChannelId", "SlackTokenSecretArn")})
    assert SlackSettings.read(variables(stack, "SlackFunction")).approvers == ()
    assert ApproveSettings.read(variables(stack, "ApproveFunction")).slack is None


def test_slack_posts_little_by_little(whole: Stack) -> None:
    """One channel takes about one message a second; what fails comes again by itself."""
    mapping = source(whole, "SlackFunction")
    assert mapping["EventSourceArn"] == whole.arn("SlackMessages")
    assert mapping["BatchSize"] == 10
    assert mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    assert mapping["ScalingConfig"] == {"MaximumConcurrency": 2}


def test_slacks_claims_outlive_the_function_that_made_them(whole: Stack) -> None:
    """Otherwise two would post the same at one time, and neither would know."""
    assert timedelta(seconds=whole.properties("SlackFunction")["Timeout"]) < HELD


def test_triage_takes_denials_in_batches(stack: Stack) -> None:
    """Up to a hundred or five seconds' worth, repeating only what failed, with a limit that reserves nothing."""
    mapping = source(stack, "TriageFunction")
    assert mapping["EventSourceArn"] == stack.arn("Denials")
    assert mapping["BatchSize"] == 100
    assert mapping["MaximumBatchingWindowInSeconds"] == 5
    assert mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    assert mapping["ScalingConfig"] == {"MaximumConcurrency": 5}
    assert "ReservedConcurrentExecutions" not in stack.properties("TriageFunction")


def test_remediate_takes_one_grant_at_a_time(stack: Stack) -> None:
    """Different principals run side by side; one that waits for IAM keeps no other waiting."""
    mapping = source(stack, "RemediateFunction")
    assert mapping["EventSourceArn"] == stack.arn("Remediations")
    assert mapping["BatchSize"] == 1
    assert "MaximumBatchingWindowInSeconds" not in mapping
    assert mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    assert mapping["ScalingConfig"] == {"MaximumConcurrency": 5}


def test_remediate_has_time_to_verify(stack: Stack, root: Path) -> None:
    """Its timeout leaves as long as the longest verification for everything else."""
    document = transformed((root / "template.yaml").read_text(encoding="utf-8"), "us-east-1")
    longest = document["Parameters"]["VerifySeconds"]["MaxValue"]
    assert stack.properties("RemediateFunction")["Timeout"] >= 2 * longest


def test_nothing_but_the_api_invokes_a_function_from_outside(whole: Stack) -> None:
    """It may invoke approve. Everything else is mappings and schedules of this stack, and there is no function URL."""
    assert list(whole.of_type("AWS::Lambda::Permission").values()) == [
        {
            "FunctionName": whole.ref("ApproveFunction"),
            "Action": "lambda:InvokeFunction",
            "Principal": "apigateway.amazonaws.com",
            "SourceArn": f"arn:aws:execute-api:us-east-1:111122223333:{whole.ref('ApprovalApi')}/*",
        }
    ]
    assert not whole.of_type("AWS::Lambda::Url")


def source(stack: Stack, function: str) -> Mapping[str, object]:
    """The one event source mapping of a function."""
    (mapping,) = [
        each
        for each in stack.of_type("AWS::Lambda::EventSourceMapping").values()
        if each["FunctionName"] == stack.ref(function)
    ]
    return mapping
