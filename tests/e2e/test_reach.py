"""Denials of member accounts and other regions, handled by one hub by the rules and roles of the stacks' templates."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import pytest

from sandbox.buses import ALL_MANAGEMENT_EVENTS
from sandbox.calls import ApiError, Call
from sandbox.report import report
from sandbox.running import Given, handle, time_after
from sandbox.stack import TEMPLATE, Options, Sandbox
from tests.builders import members as make
from tests.builders.members import FRANKFURT, HOME, HUB, MEMBER

MEMBER_TEMPLATE: Final = TEMPLATE.parent / "stacks" / "member.yaml"
OTHER: Final = "444455556666"
REGIONS: Final = (HOME, FRANKFURT, "ap-northeast-1", "us-west-2")
WRITES: Final = ("Create", "Attach", "Put", "Delete", "Detach", "Tag")


def sandbox(events: Sequence[Given], members: Mapping[str, Mapping[str, Any]], **options: Any) -> Sandbox:
    """The stack in mode auto, with a rule that allows everything, and these member accounts."""
    parameters = {"Mode": "auto", **options.pop("parameters", {})}
    given = {"allowlist": {"main": make.EVERYTHING}, "now": time_after(events), **options}
    return Sandbox(make.world(members, REGIONS), Options(parameters=parameters, **given))


def noted(stack: Sandbox) -> list[Call]:
    """A list that every call of the functions is put into from now on."""
    calls: list[Call] = []
    stack.endpoint.refusals.append(calls.append)
    return calls


def ends(content: Mapping[str, Any]) -> dict[str | None, tuple[str, str]]:
    """Principal -> the state that its row ended in, and the reason."""
    return {row["principal"]: (row["state"], row["reason_code"]) for row in content["grants"]}


def changed(content: Mapping[str, Any]) -> set[str]:
    """Whoever holds a policy now; nobody did before."""
    return {principal for principal, policies in content["policies"].items() if policies}


GRANTED: Final = ("active", "rule_auto")


def test_a_members_denial_is_repaired_in_the_member() -> None:
    """A denial of B in Frankfurt is handled in Virginia; only B's own policy is written, and by B's role only."""
    events = [make.denial()]
    with sandbox(events, {MEMBER: {}}) as stack:
        calls = noted(stack)
        assert handle(stack, events) == []
        content = report(stack)
    assert ends(content) == {make.principal(): GRANTED}
    assert content["grants"][0]["profile"] == make.profile()
    assert changed(content) == {make.principal()}
    assert content["failures"] == stack.authorization.refusals == []
    writing = [call for call in calls if call.service == "iam" and call.operation.startswith(WRITES)]
    assert {(call.account, call.role and call.role.role.rpartition("/")[2]) for call in writing} == {
        (MEMBER, "bedrock-access-remediator-write")
    }
    assert {call.account for call in calls if call.service in {"iam", "bedrock"}} == {MEMBER}
    assert {call.region for call in calls if call.service == "bedrock"} == {FRANKFURT}


def test_the_hubs_own_other_regions_are_seen() -> None:
    """An event of the hub's account in Frankfurt comes by stacks/region.yaml, without an organization or a role."""
    events = [make.denial(HUB)]
    with sandbox(events, {}) as stack:
        assert handle(stack, events) == []
        content = report(stack)
    assert ends(content) == {make.principal(HUB): GRANTED}
    assert (content["failures"], content["calls"].get("sts:AssumeRole")) == ([], None)


def test_an_account_that_is_not_enrolled_is_left_alone() -> None:
    """A member that forwards without being enrolled is told of, and nobody looks into it."""
    events = [make.denial()]
    with sandbox(events, {MEMBER: {"enrolled": False}, OTHER: {}}) as stack:
        handle(stack, events)
        content = report(stack)
        assert stack.endpoint.tally.of(MEMBER) == {}
    assert ends(content) == {make.principal(): ("reported", "account_not_enrolled")}
    assert changed(content) == set()
    assert "sts:AssumeRole" not in content["calls"]


def test_every_account_can_be_enrolled_at_once() -> None:
    """With a star in EnrolledAccounts, whoever forwards is looked into."""
    events = [make.denial()]
    parameters = {"EnrolledAccounts": "*", "Mode": "approve"}
    with sandbox(events, {MEMBER: {"enrolled": False}}, parameters=parameters) as stack:
        handle(stack, events)
        assert ends(report(stack)) == {make.principal(): ("pending", "mode_approve")}


@pytest.mark.parametrize("record", [OTHER, HUB])
def test_an_envelope_that_differs_from_its_record(record: str) -> None:
    """A record of another account than the one that its event is from is refused: nothing is read or written for it."""
    events = [make.denial(record, account=MEMBER)]
    with sandbox(events, {MEMBER: {}, OTHER: {}}) as stack:
        handle(stack, events)
        content = report(stack)
        assert stack.endpoint.tally.of(OTHER) == stack.endpoint.tally.of(MEMBER) == {}
    assert [(row["state"], row["reason_code"]) for row in content["grants"]] == [("reported", "identity_mismatch")]
    assert changed(content) == set()


def test_a_missing_role_holds_nobody_up() -> None:
    """A member without its roles is told what to deploy where; another member's denial beside it is granted."""
    events = [make.denial(), make.denial(OTHER)]
    with sandbox(events, {MEMBER: {"regions": [FRANKFURT]}, OTHER: {}}) as stack:
        handle(stack, events)
        content = report(stack)
    assert ends(content) == {
        make.principal(): ("reported", "member_role_missing"),
        make.principal(OTHER): GRANTED,
    }
    assert changed(content) == {make.principal(OTHER)}
    assert content["failures"] == []
    told = [notice for notice in content["notices"] if notice["message"]["default"].count("stacks/member.yaml")]
    assert [f"Deploy stacks/member.yaml in account {MEMBER}" in notice["message"]["email"] for notice in told] == [True]


def test_a_role_that_goes_away_before_the_write() -> None:
    """A member whose write role is gone when its grant was approved: the row ends as failed, and nothing is written."""
    events = [make.denial(), make.denial(OTHER)]
    with sandbox(events, {MEMBER: {}, OTHER: {}}) as stack:
        stack.endpoint.refusals.insert(0, without_write_role)
        handle(stack, events)
        content = report(stack)
    assert ends(content) == {make.principal(): ("failed", "member_role_missing"), make.principal(OTHER): GRANTED}
    assert changed(content) == {make.principal(OTHER)}


def without_write_role(call: Call) -> None:
    """Refuse that the member's write role is assumed."""
    role = str(call.parameters.get("RoleArn"))
    if call.name == "sts:AssumeRole" and f":{MEMBER}:" in role and role.endswith("-write"):
        raise ApiError("AccessDenied", "not authorized", 403)


def throttled(call: Call) -> None:
    """Throttle whatever reaches the member's IAM."""
    if call.account == MEMBER and call.service == "iam":
        raise ApiError("Throttling", "Rate exceeded")


def test_a_throttled_account_holds_nobody_up() -> None:
    """An account whose IAM throttles loses no denial: others of the batch are granted, and its own comes again."""
    events = [make.denial(), make.denial(OTHER)]
    with sandbox(events, {MEMBER: {}, OTHER: {}}) as stack:
        stack.endpoint.refusals.append(throttled)
        handle(stack, events)
        content = report(stack)
    assert ends(content) == {make.principal(OTHER): GRANTED}
    assert [(letter["queue"], letter["body"]["account"]) for letter in content["failures"]] == [
        ("DenialsDeadLetters", MEMBER)
    ]


def test_credentials_are_renewed() -> None:
    """A function that lives on after its credentials in a member account assumes the role again."""
    first, second = make.denial(), make.denial(MEMBER, HOME)
    with sandbox([first], {MEMBER: {}}) as stack:
        handle(stack, [first])
        stack.clock.advance(timedelta(hours=2).total_seconds())
        handle(stack, [second])
        content = report(stack)
    assert [row["state"] for row in content["grants"]] == ["active", "active"]
    assert (content["calls"]["sts:AssumeRole"], content["failures"]) == (4, [])


def calls_of_members(accounts: Sequence[str], regions: Sequence[str]) -> Iterator[dict[str, int]]:
    """The calls that reached each account in one run with a denial of every account and region."""
    events = [make.denial(account, region) for account in accounts for region in regions]
    members = {account: {"regions": list(regions)} for account in accounts}
    # Each grant is told by itself: what a storm of notices is folded into, other tests show.
    with sandbox(events, members, parameters={"MaxNoticesPerHour": "1000"}) as stack:
        handle(stack, events)
        content = report(stack)
        assert {row["state"] for row in content["grants"]} == {"active"}
        assert len(content["grants"]) == len(content["notices"]) == len(events)
        assert changed(content) == set(map(make.principal, accounts))
        assert content["calls"]["sts:AssumeRole"] == 2 * len(accounts)
        assert (content["failures"], stack.authorization.refusals) == ([], [])
        yield from (stack.endpoint.tally.of(account) for account in accounts)


@pytest.mark.parametrize(("accounts", "regions"), [(2, 1), pytest.param(50, 4, marks=pytest.mark.long)])
def test_many_accounts_and_regions_in_one_run(accounts: int, regions: int) -> None:
    """Every account costs the calls that it would cost alone, and two of STS, however many there are."""
    (alone,) = calls_of_members([MEMBER], REGIONS[:regions])
    assert list(calls_of_members(list(make.accounts(accounts)), REGIONS[:regions])) == [alone] * accounts


def test_a_member_costs_what_the_hub_does() -> None:
    """A denial of a member costs the calls of one at home, to the call, beside its roles and its name."""
    costs = []
    for account in (HUB, MEMBER):
        events = [make.denial(account, HOME)]
        with sandbox(events, {MEMBER: {}}) as stack:
            handle(stack, events)
            costs.append(dict(report(stack)["calls"]))
    assert costs[1] == costs[0] | {"sts:AssumeRole": 2, "organizations:DescribeAccount": 1}


@pytest.fixture
def mistaken(tmp_path: Path) -> Callable[[str, str], Path]:
    """Makes a copy of the templates with one text of member.yaml replaced; gives the hub's template."""

    def changed_copy(old: str, new: str) -> Path:
        text = MEMBER_TEMPLATE.read_text(encoding="utf-8")
        assert old in text
        (tmp_path / "stacks").mkdir()
        (tmp_path / "stacks" / "member.yaml").write_text(text.replace(old, new), encoding="utf-8")
        (tmp_path / "template.yaml").write_text(TEMPLATE.read_text(encoding="utf-8"), encoding="utf-8")
        (tmp_path / "functions").symlink_to(TEMPLATE.parent / "functions")
        return tmp_path / "template.yaml"

    return changed_copy


def test_a_rule_that_is_plainly_enabled(mistaken: Callable[[str, str], Path]) -> None:
    """With a member's rule that is merely ENABLED, none of its denials ever arrives."""
    events = [make.denial()]
    template = mistaken(f"State: {ALL_MANAGEMENT_EVENTS}", "State: ENABLED")
    with sandbox(events, {MEMBER: {}}, template=template) as stack:
        assert len(handle(stack, events)) == 1


def test_a_right_to_forward_that_is_missing(mistaken: Callable[[str, str], Path]) -> None:
    """Where the member's role may not put events on the hub's bus, they are in the member's dead-letter queue."""
    events = [make.denial()]
    template = mistaken("Action: events:PutEvents", "Action: events:PutRule")
    with sandbox(events, {MEMBER: {}}, template=template) as stack:
        handle(stack, events)
        assert [letter.queue for letter in stack.failures] == [f"{MEMBER}/{FRANKFURT}/DeadLetters"]


@pytest.mark.parametrize(
    "trust",
    [
        ("aws:PrincipalOrgID: !Ref OrganizationId", "aws:PrincipalOrgID: o-another12345"),
        ("aws:PrincipalArn: !Ref HubReadRoleArns", "aws:PrincipalArn: !Ref HubWriteRoleArn"),
    ],
)
def test_a_role_that_trusts_somebody_else(mistaken: Callable[[str, str], Path], trust: tuple[str, str]) -> None:
    """A trust policy of another organization, or of another function, is like no role: nothing is read or written."""
    events = [make.denial()]
    with sandbox(events, {MEMBER: {}}, template=mistaken(*trust)) as stack:
        handle(stack, events)
        assert ends(report(stack)) == {make.principal(): ("reported", "member_role_missing")}
        assert stack.endpoint.tally.of(MEMBER) == {}


def test_an_outsider_cannot_forward() -> None:
    """An account of another organization that deployed the stack is kept out by the bus of the hub."""
    events = [make.denial(OTHER)]
    with sandbox(events, {MEMBER: {}, OTHER: {"organization": "o-another12345"}}) as stack:
        handle(stack, events)
        assert [letter.queue for letter in stack.failures] == [f"{OTHER}/{FRANKFURT}/DeadLetters"]
        assert report(stack)["grants"] == []
