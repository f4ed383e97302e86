from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from sandbox.intrinsics import TemplateError
from sandbox.template import Stack, load

TEMPLATE = """
Transform: AWS::Serverless-2016-10-31
Parameters:
  Loud: {Type: String, Default: "no"}
  Roles: {Type: CommaDelimitedList, Default: ""}
Conditions:
  IsLoud: !Equals [!Ref Loud, "yes"]
Resources:
  Role:
    Type: AWS::IAM::Role
    Properties: {Path: /here/, AssumeRolePolicyDocument: {}}
  Code:
    Type: AWS::Serverless::Function
    Properties:
      CodeUri: functions/code/
      Handler: app.handler
      Runtime: python3.13
      Role: !GetAtt Role.Arn
      Layers: [!Ref Layer]
      Environment: {Variables: {TABLE: !Ref Table, ROLES: !Join [",", !Ref Roles]}}
      Events:
        Work: {Type: SQS, Properties: {Queue: !GetAtt Queue.Arn}}
  Layer:
    Type: AWS::Serverless::LayerVersion
    Metadata: {BuildMethod: makefile}
    Properties: {ContentUri: layers/one, CompatibleRuntimes: [python3.13]}
  Queue:
    Type: AWS::SQS::Queue
    Properties: {FifoQueue: true}
  Named:
    Type: AWS::SQS::Queue
    Properties: {QueueName: !Sub "${AWS::StackName}-mine"}
  Table:
    Type: AWS::DynamoDB::Table
    DeletionPolicy: Retain
    Properties: {Tags: [{Key: stream, Value: !GetAtt Key.Arn}]}
  Key: {Type: AWS::KMS::Key, Properties: {}}
  Siren:
    Type: AWS::SNS::Topic
    Condition: IsLoud
    Properties: {DisplayName: !Ref AWS::Partition}
Outputs:
  Queue: {Value: !Ref Queue}
  Siren: {Condition: IsLoud, Value: !Ref Siren}
"""

Loader = Callable[..., Stack]


@pytest.fixture
def loaded(tmp_path: Path) -> Loader:
    """Loads a template's text, with parameters."""
    path = tmp_path / "template.yaml"

    def loader(text: str = TEMPLATE, region: str = "us-east-1", partition: str = "aws", **parameters: str) -> Stack:
        path.write_text(text, encoding="utf-8")
        return load(path, parameters=parameters, account="111122223333", region=region, partition=partition)

    return loader


def test_a_serverless_function_becomes_a_function_with_everything_worked_out(loaded: Loader) -> None:
    """SAM's shorthand is transformed, and names, ARNs and the code's folder are plain text."""
    function = loaded(Roles="a,b").properties("Code")
    assert function["Role"] == "arn:aws:iam::111122223333:role/here/bedrock-access-remediator-Role"
    assert function["Code"] == {"S3Bucket": "source", "S3Key": "functions/code"}
    assert function["Layers"] == ["arn:aws:lambda:us-east-1:111122223333:layer:Layer:1"]
    assert function["Environment"]["Variables"] == {"TABLE": "bedrock-access-remediator-Table", "ROLES": "a,b"}


def test_an_event_of_a_function_becomes_a_mapping_between_plain_names(loaded: Loader) -> None:
    """The event source mapping names the queue's ARN and the function."""
    (mapping,) = loaded().of_type("AWS::Lambda::EventSourceMapping").values()
    assert mapping["EventSourceArn"] == "arn:aws:sqs:us-east-1:111122223333:bedrock-access-remediator-Queue.fifo"
    assert mapping["FunctionName"] == "bedrock-access-remediator-Code"


def test_ref_and_arn_follow_the_resource_type(loaded: Loader) -> None:
    """A queue's Ref is its URL, a table's its name, and a name that the template gives is kept."""
    stack = loaded()
    assert stack.ref("Queue") == "https://sqs.us-east-1.amazonaws.com/111122223333/bedrock-access-remediator-Queue.fifo"
    assert stack.ref("Table") == "bedrock-access-remediator-Table"
    assert stack.arn("Named") == "arn:aws:sqs:us-east-1:111122223333:bedrock-access-remediator-mine"
    assert stack.attribute("Table", "StreamArn").startswith(f"{stack.arn('Table')}/stream/")
    assert stack.outputs == {"Queue": stack.ref("Queue")}


def test_two_loads_agree(loaded: Loader) -> None:
    """Names and ids that AWS would invent are the same each time."""
    assert loaded().resources == loaded().resources


def test_a_resource_without_its_condition_is_left_out(loaded: Loader) -> None:
    """Neither the resource nor its output is there unless the condition holds."""
    assert "Siren" not in loaded().resources
    assert loaded(Loud="yes").outputs["Siren"] == "arn:aws:sns:us-east-1:111122223333:bedrock-access-remediator-Siren"


def test_other_partitions_have_their_own_arns_and_domains(loaded: Loader) -> None:
    """China's ARNs and endpoints differ."""
    stack = loaded(region="cn-north-1", partition="aws-cn", Loud="yes")
    assert stack.arn("Role").startswith("arn:aws-cn:iam::")
    assert stack.ref("Queue").startswith("https://sqs.cn-north-1.amazonaws.com.cn/")
    assert stack.properties("Siren")["DisplayName"] == "aws-cn"


def test_what_a_resource_says_beside_its_properties_is_kept(loaded: Loader) -> None:
    """The deletion policy is part of the resource."""
    assert loaded().resources["Table"]["DeletionPolicy"] == "Retain"


@pytest.mark.parametrize("reference", ["!GetAtt Nothing.Arn", "!GetAtt Key.Colour", "!Ref Siren"])
def test_a_reference_to_nothing_is_an_error(loaded: Loader, reference: str) -> None:
    """A missing resource, an unknown attribute, or a resource whose condition does not hold."""
    with pytest.raises(TemplateError):
        loaded(TEMPLATE.replace("!GetAtt Key.Arn", reference))


def test_a_bad_parameter_is_an_error(loaded: Loader) -> None:
    """A parameter that the template does not declare cannot be given."""
    with pytest.raises(TemplateError, match="Quiet"):
        loaded(Quiet="yes")


def test_reading_a_template_teaches_its_tags_to_no_other_reader(loaded: Loader) -> None:
    """YAML elsewhere, an allowlist say, still refuses `!Ref`."""
    loaded()
    with pytest.raises(yaml.constructor.ConstructorError):
        yaml.safe_load("a: !Ref b")


RULES = """
Parameters:
  Way: {Type: String, Default: a, AllowedValues: [a, b]}
  Needed: {Type: String, Default: ""}
Rules:
  Together:
    RuleCondition: !Equals [!Ref Way, b]
    Assertions:
      - Assert: !Not [!Equals [!Ref Needed, ""]]
        AssertDescription: Way=b needs Needed.
Resources: {Topic: {Type: AWS::SNS::Topic, Properties: {}}}
"""


@pytest.mark.parametrize("given", [{}, {"Needed": "x"}, {"Way": "b", "Needed": "x"}])
def test_parameters_that_go_together_are_taken(loaded: Loader, given: dict[str, str]) -> None:
    """A rule asks for nothing where its condition does not hold."""
    assert loaded(RULES, **given).resources


def test_parameters_that_do_not_go_together_are_refused(loaded: Loader) -> None:
    """By the rule's name and its own words."""
    with pytest.raises(TemplateError, match=r"Together: Way=b needs Needed\."):
        loaded(RULES, Way="b")
