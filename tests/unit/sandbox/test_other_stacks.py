"""The way of an event from another account or region to the hub."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sandbox.intrinsics import TemplateError
from sandbox.world import World
from tests.builders import organizations as make
from tests.builders import sandboxes
from tests.builders.organizations import ELSEWHERE, MEMBER
from tests.builders.sandboxes import ACCOUNT, REGION, statement


@pytest.mark.parametrize(
    ("account", "region"), [(MEMBER, REGION), (MEMBER, ELSEWHERE), (ACCOUNT, ELSEWHERE), (ACCOUNT, REGION)]
)
def test_an_event_comes_to_the_hub_from_everywhere(tmp_path: Path, account: str, region: str) -> None:
    """From any account and region the rule there forwards the whole event, and it is in the hub's queue once."""
    with make.started(tmp_path) as sandbox:
        assert sandbox.put(make.event(account, region))
        assert [(letter.queue, letter.body) for letter in sandbox.failures] == [("Work", make.event(account, region))]


def no_rights(role: dict[str, Any]) -> None:
    """Take what the role may do."""
    role["Policies"] = []


def no_trust(role: dict[str, Any]) -> None:
    """Let another service have the role."""
    role["AssumeRolePolicyDocument"]["Statement"][0]["Principal"] = {"Service": "scheduler.amazonaws.com"}


def other_organization(policy: dict[str, Any]) -> None:
    """Let the accounts of another organization in."""
    policy["Statement"]["Condition"] = {"StringEquals": {"aws:PrincipalOrgID": "o-another12345"}}


def other_bus(rule: dict[str, Any]) -> None:
    """Forward to a bus that is not there."""
    rule["Targets"][0]["Arn"] = f"arn:aws:events:us-east-1:{ACCOUNT}:event-bus/other"


@pytest.mark.parametrize(
    ("template", "resource", "change", "told"),
    [
        ("member", "Forward", no_rights, "may not put events"),
        ("member", "Forward", no_trust, "does not let"),
        ("hub", "BusPolicy", other_organization, "or by the bus's"),
        ("member", "Rule", other_bus, "there is no"),
    ],
)
def test_what_stops_an_event_on_its_way(
    tmp_path: Path, template: str, resource: str, change: Callable[[dict[str, Any]], None], told: str
) -> None:
    """A right, a trust or a bus that is missing leaves the event in the dead-letter queue of its account and region."""
    with make.started(tmp_path, make.changed(template, resource, change)) as sandbox:
        assert sandbox.put(make.event())
        (letter,) = sandbox.failures
    assert letter.queue == f"{MEMBER}/{ELSEWHERE}/Aside"
    assert letter.body == make.event()
    assert told in letter.attributes["ERROR_MESSAGE"]


def test_an_outsider_is_kept_out(tmp_path: Path) -> None:
    """An account of another organization has its stack, and the hub's bus does not let it in."""
    with make.started(tmp_path, content=make.world(organization="o-another12345")) as sandbox:
        sandbox.put(make.event())
        assert [letter.queue for letter in sandbox.failures] == [f"{MEMBER}/{ELSEWHERE}/Aside"]


def test_an_event_that_not_even_the_dead_letter_queue_takes(tmp_path: Path) -> None:
    """Where the dead-letter queue lets nobody in either, the event is told as lost."""
    given = make.changed("member", "Forward", no_rights)
    del given["member"]["AsidePolicy"]
    with make.started(tmp_path, given) as sandbox:
        sandbox.put(make.event())
        assert [letter.queue for letter in sandbox.failures] == ["nowhere: no queue policy lets Rule in"]


@pytest.mark.parametrize(("template", "rule"), [("member", "Rule"), ("hub", "Forwarded")])
def test_every_rule_on_the_way_needs_the_wide_state(tmp_path: Path, template: str, rule: str) -> None:
    """One rule on the way that is merely enabled, and the event is nowhere: nobody was shown it."""

    def narrow(properties: dict[str, Any]) -> None:
        properties["State"] = "ENABLED"

    with make.started(tmp_path, make.changed(template, rule, narrow)) as sandbox:
        assert not sandbox.put(make.event())
        assert sandbox.failures == []


@pytest.mark.parametrize(
    ("content", "event"),
    [
        (make.world(regions=[REGION]), make.event()),
        (make.world(stack=False), make.event(region=REGION)),
    ],
)
def test_where_there_is_no_stack(tmp_path: Path, content: Any, event: dict[str, Any]) -> None:
    """In a region that is not named, and in a member without a stack, nobody sees the event."""
    with make.started(tmp_path, content=content) as sandbox:
        assert not sandbox.put(event)
        assert sandbox.failures == []


@pytest.mark.parametrize("content", [make.world(), sandboxes.world()])
def test_an_account_that_the_world_does_not_list(tmp_path: Path, content: World) -> None:
    """An event of a stranger is on the hub's own bus, in a world of one account or of several."""
    stranger = make.event("444455556666")
    with make.started(tmp_path, content=content) as sandbox:
        assert sandbox.put(stranger)
        assert [letter.body for letter in sandbox.failures] == [stranger]


def test_an_event_that_does_not_say_where_it_is_from(tmp_path: Path) -> None:
    """An event without account and region counts as the hub's own."""
    nowhere = {**make.event(), "account": None, "region": 5}
    with make.started(tmp_path) as sandbox:
        assert sandbox.put(nowhere)


def without_role(rule: dict[str, Any]) -> None:
    """Leave out which role forwards."""
    del rule["Targets"][0]["RoleArn"]


def foreign_queue(rule: dict[str, Any]) -> None:
    """Set events aside in somebody else's queue."""
    rule["Targets"][0]["DeadLetterConfig"]["Arn"] = f"arn:aws:sqs:us-east-1:{ACCOUNT}:theirs"


@pytest.mark.parametrize(
    ("change", "told"), [(without_role, "RoleArn is required"), (foreign_queue, "no queue of this stack")]
)
def test_a_rule_that_could_not_be_deployed(tmp_path: Path, change: Callable[[dict[str, Any]], None], told: str) -> None:
    """A bus as a target needs a role, and a dead-letter queue is one of the same stack."""
    with pytest.raises(TemplateError, match=told), make.started(tmp_path, make.changed("member", "Rule", change)):
        pass


def test_one_name_for_the_roles_of_two_regions(tmp_path: Path) -> None:
    """IAM is not regional: a role with a name of its own cannot be made in two regions of one account."""

    def named(role: dict[str, Any]) -> None:
        role["RoleName"] = "forward"

    content = make.world(regions=[REGION, ELSEWHERE])
    with (
        pytest.raises(TemplateError, match="role/forward"),
        make.started(tmp_path, make.changed("member", "Forward", named), content),
    ):
        pass


def test_a_parameter_that_nobody_gives(tmp_path: Path) -> None:
    """A parameter of a stack that is neither an output nor a parameter of the hub must have a default."""
    with make.started(tmp_path) as sandbox:
        template = tmp_path / "stacks" / "region.yaml"
        text = template.read_text(encoding="utf-8").replace("HubBusArn", "BusOfTheHub")
        template.write_text(text, encoding="utf-8")
        with pytest.raises(TemplateError, match="BusOfTheHub"):
            sandbox.put(make.event(ACCOUNT))


def test_the_bus_knows_where_an_event_is_from(tmp_path: Path) -> None:
    """The policy of a bus may ask for the source of an event, and for the role that forwards it."""

    def asks(policy: dict[str, Any]) -> None:
        policy["Statement"] = statement(
            action="events:PutEvents",
            Principal="*",
            Condition={
                "StringEquals": {"events:source": "aws.bedrock", "aws:PrincipalAccount": MEMBER},
                "ArnLike": {"aws:PrincipalArn": f"arn:aws:iam::{MEMBER}:role/*Forward"},
                "Bool": {"events:eventBusInvocation": "true"},
            },
        )

    with make.started(tmp_path, make.changed("hub", "BusPolicy", asks)) as sandbox:
        sandbox.put(make.event())
        assert [letter.queue for letter in sandbox.failures] == ["Work"]
