import json
from collections.abc import Mapping
from typing import Any

import pytest
from msgspec.structs import replace

from bedrock_remediator.core.arn import ArnError
from bedrock_remediator.core.in_place import amend, retract
from bedrock_remediator.core.policy import Entitlement, NotOursError, PolicyTooLargeError, check
from tests.builders.entitlements import ENDS, EXTRA, GUIDE, INVOKE, REGIONS, model, profile

GLOBAL = Entitlement(profile=profile("global.amazon.nova-2-lite-v1:0"), models=(model("us-east-1"), model("")))
EXPIRING = replace(GUIDE, expires_at=ENDS[1])
GRANTING = {"Effect": "Allow", "Action": list(INVOKE), "Resource": [model("us-east-1")]}
ELSEWHERE = {"Sid": "Café", "Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::b/${aws:username}"}


def policy(*statements: Any, **elements: Any) -> dict[str, Any]:
    """A policy of the principal's own."""
    return {"Version": "2012-10-17", **elements, "Statement": list(statements)}


def amended(document: Mapping[str, Any], entitlement: Entitlement = GUIDE, **options: Any) -> dict[str, Any]:
    """The document after the edit, decoded."""
    edit = amend(document, entitlement, EXTRA, **options)
    assert edit
    content: dict[str, Any] = json.loads(edit.document)
    return content


def test_what_the_guide_does_by_hand() -> None:
    """The statement that grants the model gains the profile and the model in its other regions, and nothing else."""
    edit = amend(policy(GRANTING), GUIDE, EXTRA)
    assert edit
    assert json.loads(edit.document) == policy(
        {
            "Effect": "Allow",
            "Action": list(INVOKE),
            "Resource": [model("us-east-1"), profile(), model("us-east-2"), model("us-west-2")],
        }
    )
    assert edit.statement == 0
    assert edit.added == (profile(), model("us-east-2"), model("us-west-2"))


def test_the_rest_of_the_document_stays() -> None:
    """Other statements and elements stay as they are and where they are, and no character is escaped."""
    document = policy(ELSEWHERE, GRANTING, {"Effect": "Deny", "Action": "*", "Resource": "*"}, Id="theirs")
    edit = amend(document, GUIDE, EXTRA)
    assert edit
    assert edit.statement == 1
    after = json.loads(edit.document)
    assert after["Id"] == "theirs"
    assert after["Statement"][::2] == document["Statement"][::2]
    assert edit.document.startswith('{"Version":"2012-10-17","Id":"theirs","Statement":[{"Sid":"Café",')


def test_one_statement_and_one_resource_without_lists() -> None:
    """A policy that gives its statement, or the statement its resource, without a list is understood."""
    single = {**GRANTING, "Resource": model("us-east-1")}
    assert amended({"Version": "2012-10-17", "Statement": single}) == amended(policy(GRANTING))


@pytest.mark.parametrize(
    "actions",
    [
        [*INVOKE, *EXTRA],
        [*INVOKE, "bedrock:Converse", "bedrock:ConverseStream"],
        ["BEDROCK:invokemodel", "bedrock:INVOKEMODELWITHRESPONSESTREAM"],
    ],
)
def test_a_statement_that_takes_more(actions: list[str]) -> None:
    """Extra actions, names that IAM ignores, and another case do not keep a statement from taking the ARNs."""
    edit = amend(policy({**GRANTING, "Action": actions}), GUIDE, EXTRA)
    assert edit
    assert edit.statement == 0


@pytest.mark.parametrize(
    "changes",
    [
        {"Action": "bedrock:*"},
        {"Action": "*"},
        {"Action": "bedrock:InvokeModel*"},
        {"Action": [*INVOKE, "bedrock:InvokeModel*"]},
        {"Action": [*INVOKE, "bedrock:ApplyGuardrail"]},
        {"Action": INVOKE[0]},
        {"Resource": "arn:aws:bedrock:*::foundation-model/*"},
        {"Resource": "*"},
        {"Condition": {"StringEquals": {"bedrock:GuardrailIdentifier": "gr-1"}}},
        {"Sid": "RemediatorDirectModels"},
    ],
)
def test_a_statement_that_would_be_widened_stays(changes: dict[str, Any]) -> None:
    """A statement with other actions, a wildcard or a condition is left alone: ours go to the end of the document."""
    statement = {**GRANTING, **changes}
    edit = amend(policy(statement), GUIDE, EXTRA)
    assert edit
    assert edit.statement is None
    first, *ours = json.loads(edit.document)["Statement"]
    assert first == statement
    assert edit.added == tuple(each["Sid"] for each in ours)
    assert [sid.partition("For")[0] for sid in edit.added] == [
        *("RemediatorProfile", "RemediatorModels", "RemediatorExtraActions")
    ]
    check(policy(*ours), EXTRA, within=[GUIDE])


@pytest.mark.parametrize(
    "statement",
    [
        {**GRANTING, "Resource": [model("us-east-1", "amazon.nova-premier-v1:0")]},
        {**GRANTING, "Effect": "Deny"},
        {**GRANTING, "Action": "bedrock:GetFoundationModel"},
        {"Effect": "Allow", "NotAction": "bedrock:*", "Resource": "*"},
        ELSEWHERE,
    ],
)
def test_no_place(statement: dict[str, Any]) -> None:
    """A document that does not grant the model is no place for the grant."""
    assert amend(policy(statement), GUIDE, EXTRA) is None
    assert amend({"Version": "2012-10-17"}, GUIDE, EXTRA) is None


def test_statements_without_the_parts_of_one() -> None:
    """A statement that says what it is not about, or is none at all, is not edited."""
    for strange in ({**GRANTING, "Action": 1}, {"Effect": "Allow", "NotAction": "s3:*", "NotResource": "*"}, "Allow"):
        edit = amend(policy(GRANTING, strange), GUIDE, EXTRA)
        assert edit
        assert edit.statement == 0


def test_a_grant_that_ends_is_never_put_into_a_statement_that_does_not() -> None:
    """An expiring grant gets statements of ours, which end by themselves."""
    edit = amend(policy(GRANTING), EXPIRING, EXTRA)
    assert edit
    assert edit.statement is None
    first, *ours = json.loads(edit.document)["Statement"]
    assert first == GRANTING
    assert all(each["Condition"]["DateLessThan"] == {"aws:CurrentTime": "2026-12-01T00:00:00Z"} for each in ours)


def test_what_is_granted_already_is_not_added() -> None:
    """ARNs that the document grants freely elsewhere, by a pattern or in any region, are not missing."""
    spread = {**GRANTING, "Resource": [model("*")]}
    assert amended(policy(spread))["Statement"][0]["Resource"] == [model("*"), profile()]
    profiles = {"Effect": "Allow", "Action": "bedrock:Invoke*", "Resource": profile("*")}
    edit = amend(policy(GRANTING, profiles), GUIDE, EXTRA)
    assert edit
    assert edit.added == (model("us-east-2"), model("us-west-2"))


def test_what_is_granted_under_a_condition_is_missing() -> None:
    """Neither a conditional Allow nor a Deny of the profile counts as granting it."""
    guarded = {**GRANTING, "Resource": profile(), "Condition": {"Bool": {"aws:SecureTransport": "true"}}}
    for other in (guarded, {**GRANTING, "Effect": "Deny", "Resource": profile("eu.other")}):
        edit = amend(policy(GRANTING, other), GUIDE, EXTRA)
        assert edit
        assert profile() in edit.added


def test_a_direct_grant() -> None:
    """A model granted directly joins the statement that has it in another region."""
    direct = Entitlement(profile=None, models=(model("eu-central-1"),))
    assert amended(policy(GRANTING), direct)["Statement"][0]["Resource"] == [model("us-east-1"), model("eu-central-1")]


ONE = replace(GUIDE, actions=INVOKE[:1])


def test_a_grant_of_one_action_goes_into_a_statement_of_that_action() -> None:
    """Where the statement has both, it gets statements of its own: no action that its row has not."""
    single = {**GRANTING, "Action": INVOKE[0]}
    assert amended(policy(single), ONE)["Statement"][0]["Resource"] != single["Resource"]
    after = amended(policy(GRANTING), ONE)["Statement"]
    assert after[0] == GRANTING
    assert [each["Action"] for each in after[1:]] == [[INVOKE[0]], [INVOKE[0]], sorted(EXTRA)]


def test_retract_takes_from_the_statement_of_the_grants_actions() -> None:
    """What a statement of other actions lists is somebody else's, or another grant's."""
    both = {**GRANTING, "Resource": [model("us-east-1"), profile()]}
    edit = amend(policy(both, {**GRANTING, "Action": INVOKE[0]}), ONE, EXTRA)
    assert edit
    less = retract(json.loads(edit.document), edit.added, (), ONE.actions)
    assert less
    assert json.loads(less) == policy(both, {**GRANTING, "Action": INVOKE[0]})


def test_no_room() -> None:
    """An edit that would make the document too long is an error that tells the sizes."""
    with pytest.raises(PolicyTooLargeError):
        amend(policy(GRANTING), GUIDE, EXTRA, limit=300)


def test_only_confirmed_arns_are_added() -> None:
    """A wildcard never enters somebody's policy."""
    with pytest.raises(ArnError):
        amend(policy(GRANTING), replace(GUIDE, models=(model("*"),)), EXTRA)


@pytest.mark.parametrize("entitlement", [GUIDE, EXPIRING])
def test_a_second_time_changes_nothing(entitlement: Entitlement) -> None:
    """The edit of an edited document is the same document; what was added by the first is still told."""
    document = policy(ELSEWHERE, GRANTING)
    first = amend(document, entitlement, EXTRA)
    assert first
    second = amend(json.loads(first.document), entitlement, EXTRA, ours=first.added)
    assert second == first


def test_sids_of_ours_stay_unique() -> None:
    """Statements of another grant of ours in the same document keep their Sids; the new ones get numbers."""
    direct = [Entitlement(profile=None, models=(model(region),), expires_at=ENDS[1]) for region in REGIONS[:2]]
    after = amended(amended(policy({**GRANTING, "Resource": model("*")}), direct[0]), direct[1])
    sids = [each["Sid"] for each in after["Statement"][1:]]
    ending = "Until20261201T000000Z"
    assert sids == [
        *(f"RemediatorDirectModels{ending}", f"RemediatorExtraActions{ending}"),
        *(f"RemediatorDirectModels{ending}2", f"RemediatorExtraActions{ending}2"),
    ]
    with pytest.raises(NotOursError):
        check(after, EXTRA)


@pytest.mark.parametrize("entitlement", [GUIDE, EXPIRING])
def test_retract_takes_back_what_was_added(entitlement: Entitlement) -> None:
    """After retracting, the document is what it was."""
    document = policy(ELSEWHERE, GRANTING)
    edit = amend(document, entitlement, EXTRA)
    assert edit
    after = retract(json.loads(edit.document), edit.added, ())
    assert after
    assert json.loads(after) == document


def test_retract_leaves_what_another_grant_added() -> None:
    """ARNs that two grants need go with the second of them, whichever that is."""
    document = policy(GRANTING)
    first = amend(document, GLOBAL, EXTRA)
    assert first
    second = amend(json.loads(first.document), replace(GUIDE, models=GLOBAL.models), EXTRA, ours=first.added)
    assert second
    assert second.added == (profile(), model(""))
    for one, other in ((first, second), (second, first)):
        half = retract(json.loads(second.document), one.added, other.added)
        assert half
        assert model("") in half
        after = retract(json.loads(half), other.added, ())
        assert after
        assert json.loads(after) == document


def test_retract_leaves_a_statement_that_another_grant_needs() -> None:
    """Where another standing grant counts a statement of ours as its own, the statement stays."""
    edit = amend(policy(GRANTING), EXPIRING, EXTRA)
    assert edit
    assert retract(json.loads(edit.document), edit.added, edit.added) == edit.document


def test_retract_after_others_changed_the_document() -> None:
    """A condition put on the statement meanwhile stays, and so does the same ARN in a later statement of theirs."""
    edit = amend(policy(GRANTING), GUIDE, EXTRA)
    assert edit
    theirs = {**GRANTING, "Sid": "Theirs", "Resource": [profile()]}
    reader = {"Effect": "Allow", "Action": "bedrock:GetInferenceProfile", "Resource": profile()}
    guarded = {**json.loads(edit.document)["Statement"][0], "Condition": {"Bool": {"aws:SecureTransport": "true"}}}
    after = retract(policy(reader, guarded), edit.added, ())
    assert after
    assert json.loads(after) == policy(reader, {**guarded, "Resource": [model("us-east-1")]})
    after = retract(policy(json.loads(edit.document)["Statement"][0], theirs), edit.added, ())
    assert after
    assert json.loads(after) == policy(GRANTING, theirs)


def test_retract_finds_the_statement_that_was_amended() -> None:
    """The same ARN in a conditional statement that stands first was theirs all along, and stays."""
    guarded = {**GRANTING, "Resource": [profile()], "Condition": {"Bool": {"aws:SecureTransport": "true"}}}
    document = policy(guarded, GRANTING)
    edit = amend(document, GUIDE, EXTRA)
    assert edit
    assert edit.statement == 1
    after = retract(json.loads(edit.document), edit.added, ())
    assert after
    assert json.loads(after) == document


def test_retract_never_takes_a_deny() -> None:
    """A statement under our Sid that somebody turned into a Deny stays; taking it away would widen the policy."""
    turned = {**GRANTING, "Sid": "RemediatorModels", "Effect": "Deny"}
    after = retract(policy(GRANTING, turned), ["RemediatorModels", profile()], ())
    assert after
    assert json.loads(after) == policy(GRANTING, turned)


def test_retract_leaves_no_empty_statement() -> None:
    """A statement that listed nothing but what was added goes; where nothing is left, there is no document."""
    edit = amend(policy(GRANTING), GUIDE, EXTRA)
    assert edit
    ours_only = {**GRANTING, "Resource": list(edit.added)}
    after = retract(policy(ELSEWHERE, ours_only), edit.added, ())
    assert after
    assert json.loads(after) == policy(ELSEWHERE)
    assert retract(policy(ours_only), edit.added, ()) is None
