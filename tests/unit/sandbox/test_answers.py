"""The stand-ins for Bedrock, Parameter Store, SQS and SNS, as their clients see them."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from sandbox.stack import Sandbox
from tests.builders import sandboxes as make

OTHER = "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/q7xk2m9p0abc"

WORLD = make.world(
    inference_profiles={
        "us-east-1": [
            {"id": "us.amazon.nova-2-lite-v1:0", "type": "SYSTEM_DEFINED", "models": [make.MODEL]},
            {"id": "us.amazon.nova-pro-v1:0", "type": "SYSTEM_DEFINED", "models": [make.MODEL]},
            {"id": "q7xk2m9p0abc", "type": "APPLICATION", "models": [make.MODEL]},
        ]
    },
    foundation_models={"us-east-1": [{"id": "amazon.nova-2-lite-v1:0", "inference_types": ["INFERENCE_PROFILE"]}]},
)


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[Sandbox]:
    """A sandbox of that world, with two topics and a queue."""
    topic = {"Type": "AWS::SNS::Topic", "Properties": {}}
    resources = {"Notices": topic, "Approvals": topic, "Work": make.queue()}
    allowlist = {f"doc-{index:02}": f"text {index}" for index in range(12)} | {"deep/er": "below"}
    with make.started(tmp_path, resources, world=WORLD, allowlist=allowlist) as sandbox:
        yield sandbox


def code_of(call: Any, **parameters: Any) -> str:
    """The error code of a call that AWS refuses."""
    with pytest.raises(ClientError) as error:
        call(**parameters)
    return str(error.value.response["Error"]["Code"])


@pytest.mark.usefixtures("sandbox")
@pytest.mark.parametrize(
    ("identifier", "arn"),
    [
        ("us.amazon.nova-2-lite-v1:0", make.PROFILE),
        (make.PROFILE, make.PROFILE),
        ("q7xk2m9p0abc", OTHER),
        (OTHER, OTHER),
    ],
)
def test_a_profile_by_id_or_arn(identifier: str, arn: str) -> None:
    """A profile is found by its id and by its ARN, which has the account even where AWS defined it."""
    answer = make.own_session().client("bedrock").get_inference_profile(inferenceProfileIdentifier=identifier)
    assert answer["inferenceProfileArn"] == arn
    assert answer["models"] == [{"modelArn": make.MODEL}]


@pytest.mark.usefixtures("sandbox")
@pytest.mark.parametrize(
    ("identifier", "region", "code"),
    [
        ("eu.amazon.nova-2-lite-v1:0", "us-east-1", "ResourceNotFoundException"),
        ("us.amazon.nova-2-lite-v1:0", "eu-west-1", "ResourceNotFoundException"),
        (make.PROFILE, "eu-west-1", "ValidationException"),
        (make.PROFILE.replace(make.ACCOUNT, "444455556666"), "us-east-1", "ValidationException"),
    ],
)
def test_a_profile_that_is_not_there(identifier: str, region: str, code: str) -> None:
    """A profile is of one region; an ARN of another region or account is no identifier there."""
    bedrock = make.own_session().client("bedrock", region_name=region)
    assert code_of(bedrock.get_inference_profile, inferenceProfileIdentifier=identifier) == code


@pytest.mark.usefixtures("sandbox")
def test_profiles_are_listed_by_type() -> None:
    """A list is of one type, system-defined if none is asked for, and comes in pages."""
    bedrock = make.own_session().client("bedrock")
    pages = list(bedrock.get_paginator("list_inference_profiles").paginate(PaginationConfig={"PageSize": 1}))
    ids = [summary["inferenceProfileId"] for page in pages for summary in page["inferenceProfileSummaries"]]
    assert (len(pages), ids) == (2, ["us.amazon.nova-2-lite-v1:0", "us.amazon.nova-pro-v1:0"])
    own = bedrock.list_inference_profiles(typeEquals="APPLICATION")["inferenceProfileSummaries"]
    assert [summary["inferenceProfileArn"] for summary in own] == [OTHER]


@pytest.mark.usefixtures("sandbox")
def test_models() -> None:
    """A model tells how it can be called; one that is not in the region is not found."""
    bedrock = make.own_session().client("bedrock")
    for identifier in ("amazon.nova-2-lite-v1:0", make.MODEL):
        details = bedrock.get_foundation_model(modelIdentifier=identifier)["modelDetails"]
        assert (details["modelArn"], details["inferenceTypesSupported"]) == (make.MODEL, ["INFERENCE_PROFILE"])
    assert code_of(bedrock.get_foundation_model, modelIdentifier="x.y-v1:0") == "ResourceNotFoundException"
    elsewhere = make.MODEL.replace("us-east-1", "us-west-2")
    assert code_of(bedrock.get_foundation_model, modelIdentifier=elsewhere) == "ValidationException"


@pytest.mark.usefixtures("sandbox")
def test_parameters_come_ten_at_a_time() -> None:
    """GetParametersByPath gives ten a page, and those below a folder only if asked to go down."""
    ssm = make.own_session().client("ssm")
    pages = list(ssm.get_paginator("get_parameters_by_path").paginate(Path="/allowlist"))
    assert [len(page["Parameters"]) for page in pages] == [10, 2]
    deep = ssm.get_paginator("get_parameters_by_path").paginate(Path="/allowlist/", Recursive=True)
    assert "/allowlist/deep/er" in [parameter["Name"] for page in deep for parameter in page["Parameters"]]


def test_a_secret_is_decrypted_only_if_asked(sandbox: Sandbox) -> None:
    """A SecureString's value comes encrypted without WithDecryption."""
    sandbox.parameters.put("/allowlist/secret", "open", "SecureString")
    ssm = make.own_session().client("ssm")
    assert ssm.get_parameter(Name="/allowlist/secret")["Parameter"]["Value"] != "open"
    assert ssm.get_parameter(Name="/allowlist/secret", WithDecryption=True)["Parameter"]["Value"] == "open"
    assert code_of(ssm.get_parameter, Name="/none") == "ParameterNotFound"


def test_what_is_published_is_kept(sandbox: Sandbox) -> None:
    """A publication is kept with its topic's name, its parsed message and its attributes as text."""
    heard: list[str] = []
    sandbox.outbox.listeners.append(lambda _, notice: heard.append(notice.topic))
    sns = make.own_session().client("sns")
    sns.publish(
        TopicArn=sandbox.stack.ref("Notices"),
        Subject="Granted",
        Message=json.dumps({"default": "{}", "email": "text"}),
        MessageStructure="json",
        MessageAttributes={"state": {"DataType": "String", "StringValue": "active"}},
    )
    sns.publish(TopicArn=sandbox.stack.ref("Approvals"), Message="plain")
    granted, plain = sandbox.outbox.notices
    assert (granted.topic, granted.subject, granted.attributes) == ("notices", "Granted", {"state": "active"})
    assert granted.message == {"default": "{}", "email": "text"}
    assert (plain.topic, plain.message) == ("approvals", {"default": "plain"})
    assert heard == ["notices", "approvals"]


@pytest.mark.parametrize(
    "given",
    [
        {"Subject": "x" * 101},
        {"Subject": "two\nlines"},
        {"Subject": "Zugriff gewährt"},
        {"Message": "x" * 262_145},
        {"Message": "text", "MessageStructure": "json"},
        {"Message": '{"email": "no default"}', "MessageStructure": "json"},
        {"Message": '{"default": 1}', "MessageStructure": "json"},
        {"MessageAttributes": {"empty": {"DataType": "String", "StringValue": ""}}},
    ],
)
def test_what_sns_refuses(sandbox: Sandbox, given: dict[str, Any]) -> None:
    """A bad subject, message, structure or attribute is refused, and nothing is kept."""
    sns = make.own_session().client("sns")
    topic = sandbox.stack.ref("Notices")
    assert code_of(sns.publish, **{"TopicArn": topic, "Message": "text", **given}).startswith("InvalidParameter")
    assert sandbox.outbox.notices == []


def test_messages_are_sent_one_or_several_at_once(sandbox: Sandbox) -> None:
    """SendMessage and SendMessageBatch put messages, with their attributes, into the queue of the URL."""
    sqs = make.own_session().client("sqs")
    url = sandbox.stack.ref("Work")
    sqs.send_message(
        QueueUrl=url,
        MessageBody="a",
        MessageAttributes={"reason": {"DataType": "String", "StringValue": "unreadable"}},
    )
    sqs.send_message_batch(QueueUrl=url, Entries=[{"Id": "1", "MessageBody": "b"}])
    letters = sandbox.failures
    assert [(letter.body, letter.attributes) for letter in letters] == [("a", {"reason": "unreadable"}), ("b", {})]
    assert code_of(sqs.send_message, QueueUrl=f"{url}-not", MessageBody="a") == "QueueDoesNotExist"
