from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from bedrock_remediator.settings import NotifySettings, PolicySettings, RemediateSettings, TriageSettings
from sandbox.template import Stack, transformed

FUNCTIONS = {"TriageFunction": "triage", "RemediateFunction": "remediate", "NotifyFunction": "notify"}
READERS: dict[str, Callable[[Mapping[str, str]], object]] = {
    "TriageFunction": TriageSettings.read,
    "RemediateFunction": RemediateSettings.read,
    "NotifyFunction": NotifySettings.read,
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


def test_these_are_the_functions(stack: Stack) -> None:
    """Each has its own folder and its own role."""
    found = stack.of_type("AWS::Lambda::Function")
    assert {name: each["Code"]["S3Key"] for name, each in found.items()} == {
        name: f"functions/{folder}" for name, folder in FUNCTIONS.items()
    }
    assert {name: each["Role"] for name, each in found.items()} == {
        name: stack.arn(name.replace("Function", "Role")) for name in FUNCTIONS
    }


@pytest.mark.parametrize("function", FUNCTIONS)
def test_functions_run_the_layer_on_the_runtime_it_is_built_for(stack: Stack, function: str) -> None:
    """Python 3.13 with the one layer, traced by Lambda itself."""
    properties = stack.properties(function)
    ((layer, layer_properties),) = stack.of_type("AWS::Lambda::LayerVersion").items()
    assert properties["Runtime"] == "python3.13"
    assert layer_properties["CompatibleRuntimes"] == ["python3.13"]
    assert properties["Handler"] == "app.handler"
    assert properties["Layers"] == [stack.ref(layer)]
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
def test_the_environment_is_what_the_settings_read(stack: Stack, function: str) -> None:
    """Every variable that a function reads is set, none is set that it does not read, and the defaults are good."""
    given = variables(stack, function)
    recorder = Recorder(given)
    READERS[function](recorder)
    powertools = {name for name in given if name.startswith("POWERTOOLS_")}
    assert recorder.read == set(given) - powertools
    assert powertools == {"POWERTOOLS_SERVICE_NAME", "POWERTOOLS_METRICS_NAMESPACE", "POWERTOOLS_LOG_LEVEL"}


@pytest.mark.parametrize("function", FUNCTIONS)
def test_logs_and_metrics_carry_the_functions_name(stack: Stack, function: str) -> None:
    """In one namespace, with the service as the dimension."""
    given = variables(stack, function)
    assert given["POWERTOOLS_SERVICE_NAME"] == FUNCTIONS[function]
    assert given["POWERTOOLS_METRICS_NAMESPACE"] == "BedrockAccessRemediator"


def test_parameters_reach_triage_and_remediate(deploy: Callable[..., Stack]) -> None:
    """Both decide by the same policy settings."""
    stack = deploy(
        Mode="auto",
        Paused="true",
        PolicyStrategy="inline",
        AllowlistPath="/mine",
        ExtraActions="",
        GrantablePrincipals="arn:aws:iam::111122223333:role/llm-*,arn:aws:iam::111122223333:user/*",
        DefaultGrantDays="30",
        VerifySeconds="5",
    )
    triage = TriageSettings.read(variables(stack, "TriageFunction"))
    remediate = RemediateSettings.read(variables(stack, "RemediateFunction"))
    assert (
        triage.policy
        == remediate.policy
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
            }
        )
    )
    assert remediate.verify_seconds == 5
    assert triage.refused_queue_url == stack.ref("DenialsDeadLetters")


def test_notify_knows_the_topics(stack: Stack) -> None:
    """By their ARNs."""
    settings = NotifySettings.read(variables(stack, "NotifyFunction"))
    assert settings.approvals_topic_arn == stack.arn("Approvals")
    assert settings.notices_topic_arn == stack.arn("Notices")


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


def test_nothing_outside_the_account_may_invoke_a_function(stack: Stack) -> None:
    """No function has a resource policy or a URL: mappings of this stack are the only way in."""
    assert not stack.of_type("AWS::Lambda::Permission")
    assert not stack.of_type("AWS::Lambda::Url")


def source(stack: Stack, function: str) -> Mapping[str, object]:
    """The one event source mapping of a function."""
    (mapping,) = [
        each
        for each in stack.of_type("AWS::Lambda::EventSourceMapping").values()
        if each["FunctionName"] == stack.ref(function)
    ]
    return mapping
