import json
from collections.abc import Iterable, Sequence
from datetime import timedelta

import pytest
import yaml

from bedrock_remediator.core.grant import DiagnosisKind, Grant, State
from bedrock_remediator.notices.notice import Plan
from bedrock_remediator.notices.plan import permission_set_snippets, plan
from tests.builders.grants import MODELS, NOON, PROFILE
from tests.builders.notices import (
    EXTRA_ACTIONS,
    advice,
    blocked_by_scp,
    conditional,
    granted,
    leaked_key,
    permission_set,
    requested,
)

OTHER = PROFILE.replace("us.amazon", "global.amazon")
STANDING = granted(sk=f"profile#{OTHER}", profile=OTHER, resources=(OTHER, *MODELS), expires_at=None)


def planned(grant: Grant, rows: Sequence[Grant] = (), extra_actions: Sequence[str] = EXTRA_ACTIONS) -> Plan:
    """The plan of a row beside others."""
    return plan(grant, lambda: rows, extra_actions)


def test_a_request_adds_to_what_stands() -> None:
    """Before: the standing grants. After: those and the request. Alone: the request."""
    made = planned(requested(), [STANDING, requested()])
    assert (OTHER in made.before[0], PROFILE in made.before[0]) == (True, False)
    assert (OTHER in made.after[0], PROFILE in made.after[0]) == (True, True)
    assert (OTHER in made.own[0], PROFILE in made.own[0]) == (False, True)


def test_a_revocation_is_the_other_way_round() -> None:
    """Before: with the grant. After: without it. There is nothing to paste."""
    made = planned(granted(state=State.REVOKED), [STANDING])
    assert PROFILE in made.before[0]
    assert PROFILE not in made.after[0]
    assert made.snippets is None


def test_only_what_stands_for_the_same_principal_counts() -> None:
    """Requests, ended grants, and grants of a deleted principal of the same name are no part of the policy."""
    gone = granted(sk="profile#x", profile=OTHER, resources=(OTHER,), principal_id="AROAOLD")
    ended = granted(sk="profile#x", profile=OTHER, resources=(OTHER,), state=State.REVOKED)
    assert planned(requested(), [gone, ended]).before == ()


@pytest.mark.parametrize("state", [State.FAILED, State.LAPSED, State.REJECTED, State.ROLLED_BACK])
def test_where_nothing_changes_the_principals_rows_are_not_read(state: State) -> None:
    """The ledger is asked for the other rows only if before and after differ."""

    def unread() -> Iterable[Grant]:
        raise AssertionError

    made = plan(requested(state=state), unread, EXTRA_ACTIONS)
    assert (made.before, made.after, len(made.own)) == ((), (), 1)


@pytest.mark.parametrize(
    "grant",
    [
        blocked_by_scp(),
        leaked_key(),
        requested(resources=()),
        requested(principal=None),
        requested(principal="arn:aws:iam::123456789012:root"),
        requested(state=State.REPORTED, reason_code="rule_never"),
        requested(state=State.REPORTED, diagnosis=DiagnosisKind.WRONG_IDENTIFIER, reason_code="profile_id_needed"),
        advice("explicit_deny", resources=requested().resources),
        requested(diagnosis=DiagnosisKind.ALREADY_ALLOWED),
        requested(resources=("arn:aws:s3:::bucket",)),
    ],
)
def test_no_plan_where_a_grant_is_not_the_answer(grant: Grant) -> None:
    """Denied on purpose, nothing confirmed, nobody to attach to, or no policy possible: no documents at all."""
    assert planned(grant) == Plan()


@pytest.mark.parametrize(
    ("grant", "pasted"),
    [
        (requested(), True),
        (granted(), True),
        (permission_set(), True),
        (requested(state=State.LAPSED), True),
        (requested(state=State.FAILED, reason_code="write_denied"), True),
        (requested(state=State.FAILED, reason_code="principal_recreated"), False),
        (requested(state=State.FAILED, reason_code="approval_unverified"), False),
        (requested(state=State.REJECTED), False),
        (granted(state=State.ROLLED_BACK), False),
        (conditional(), False),
    ],
)
def test_snippets_are_for_what_should_be_granted(grant: Grant, pasted: bool) -> None:  # noqa: FBT001 - the expectation
    """Nothing to paste where it was rejected, does not help, defeats a control, or smells of an attack."""
    assert (planned(grant).snippets is not None) is pasted


def test_an_end_that_is_still_open_counts_from_the_request() -> None:
    """A request for an hour is shown with the end it would have if it were granted at once."""
    made = planned(requested(grant_seconds=3600))
    assert (NOON + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ") in made.own[0]


def test_the_actions_are_those_of_the_documents() -> None:
    """What is said to be granted is read from what would be written."""
    assert planned(requested(), extra_actions=()).actions == (
        "bedrock:InvokeModel",
        "bedrock:InvokeModelWithResponseStream",
    )
    single = json.dumps({"Statement": [{"Action": "bedrock:InvokeModel"}]})
    assert Plan(own=(single,)).actions == ("bedrock:InvokeModel",)


def test_a_permission_set_gets_one_policy_in_three_forms() -> None:
    """The documents come together; Terraform's form holds no template, CloudFormation's is YAML."""
    documents = [json.dumps({"Statement": [{"Sid": sid, "Resource": "${x}"}]}) for sid in ("A", "B")]
    made = permission_set_snippets("Data-Scientists", documents)
    assert [statement["Sid"] for statement in json.loads(made.json)["Statement"]] == ["A", "B"]
    assert "$${x}" in made.terraform
    resource = yaml.safe_load(made.cloudformation)["Resources"]["DataScientists"]
    assert resource["Properties"]["Name"] == "Data-Scientists"
    assert resource["Properties"]["InlinePolicy"] == json.loads(made.json)
    assert "  PermissionSet:" in permission_set_snippets("--", []).cloudformation
    assert (
        '"aws_ssoadmin_permission_set_inline_policy" "_2nd_line"' in permission_set_snippets("2nd-line", []).terraform
    )
