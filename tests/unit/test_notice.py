from datetime import timedelta

import pytest
from msgspec.structs import replace

from bedrock_remediator.core.grant import DiagnosisKind, Event, Grant, State, kept_copy
from bedrock_remediator.notices.notice import Audience, Occasion, Severity, occasion, occasions, request_id, target, who
from bedrock_remediator.notices.subject import SUBJECT_LENGTH, attributes, subject
from tests.builders.grants import ACCOUNT, MODELS, NOON
from tests.builders.notices import ALL, advice, blocked_by_scp, conditional, granted, leaked_key, notice_of, requested

EVENTS = {
    State.PENDING: "requested",
    State.ACTIVE: "granted",
    State.ROLLED_BACK: "rolled_back",
    State.FAILED: "failed",
    State.REPORTED: "advice",
    State.REJECTED: "rejected",
    State.LAPSED: "lapsed",
    State.REVOKED: "revoked",
}


@pytest.mark.parametrize("state", State)
def test_a_state_has_the_notice_of_its_kind_or_none(state: State) -> None:
    """Every state but approved, applying and revoking is an occasion of its own."""
    assert occasion(requested(state=state)) == EVENTS.get(state)


def test_a_leaked_key_is_an_alert() -> None:
    """A report of a leaked key, or of an event that contradicts itself, is an alert and no advice."""
    assert occasion(leaked_key()) is Occasion.ALERT
    assert occasion(advice("identity_mismatch", DiagnosisKind.UNKNOWN)) is Occasion.ALERT


def test_a_remark_on_a_standing_grant_is_told_and_one_about_the_past_is_not() -> None:
    """So is a reminder, for as long as the request waits."""
    drifted, reminded = ALL["drifted"](), ALL["reminded"]()
    assert occasion(drifted) is Occasion.DRIFTED
    assert occasion(granted(version=4, remark=drifted.remark)) is Occasion.GRANTED
    assert occasion(requested(state=State.APPROVED, version=3, remark=drifted.remark)) is None
    assert occasion(reminded) is Occasion.REMINDED
    assert occasion(requested(state=State.REJECTED, reminded_at=reminded.reminded_at)) is Occasion.REJECTED


def test_a_link_that_was_asked_for_is_told_beside_all_else() -> None:
    """So that neither a remark nor the state's own notice is lost for it; and no more once the row has moved."""
    later = NOON + timedelta(hours=1)
    assert occasions(granted()) == (Occasion.GRANTED,)
    assert occasions(granted(link_asked_at=later)) == (Occasion.GRANTED, Occasion.LINK)
    assert occasions(replace(ALL["drifted"](), link_asked_at=later)) == (Occasion.DRIFTED, Occasion.LINK)
    assert occasions(granted(link_asked_at=later, updated_at=later + timedelta(1))) == (Occasion.GRANTED,)
    assert occasions(replace(kept_copy(granted()), link_asked_at=later)) == (Occasion.LINK,)
    assert occasions(requested(state=State.APPLYING)) == ()


def test_nobody_is_told_of_what_is_kept_until_it_ends() -> None:
    """It stood before; that another grant stands in its place is told of that one."""
    kept = kept_copy(granted())
    assert occasion(kept) is None
    assert occasion(replace(kept, state=State.REVOKED, reason_code="replaced")) is None
    assert occasion(replace(kept, state=State.REVOKED, reason_code="expired")) is Occasion.REVOKED


def test_nobody_is_told_of_a_failure_twice() -> None:
    """What upkeep tried again and failed again in passing is as it was."""
    failed = granted(state=State.FAILED, reason_code="check_refused")
    again = failed.moved(State.APPROVED, at=NOON, by="upkeep", reason="tried again")
    again = replace(again, state=State.FAILED, history=(*failed.history, *_failing(), *again.history, *_failing()))
    assert occasion(failed) is Occasion.FAILED
    assert occasion(again) is None


def _failing() -> tuple[Event]:
    return (Event(at=NOON, state=State.FAILED, by="remediate", reason="failed"),)


@pytest.mark.parametrize("event", ALL)
def test_only_requests_go_to_the_approvers(event: str) -> None:
    """Requests, reminders and links go to the approvals topic, all other notices to the other one."""
    expected = Audience.APPROVALS if event in ("requested", "reminded", "link") else Audience.NOTICES
    assert notice_of(ALL[event]()).audience is expected


@pytest.mark.parametrize(
    ("code", "diagnosis", "severity"),
    [
        ("scp", DiagnosisKind.NOT_FIXABLE, Severity.ACTION),
        ("message_unreadable", DiagnosisKind.UNKNOWN, Severity.ACTION),
        ("mode_observe", DiagnosisKind.MISSING_GRANT, Severity.INFO),
        ("rule_never", DiagnosisKind.MISSING_GRANT, Severity.INFO),
        ("already_allowed", DiagnosisKind.ALREADY_ALLOWED, Severity.INFO),
        ("quarantined", DiagnosisKind.LEAKED_KEY, Severity.ALERT),
        ("identity_mismatch", DiagnosisKind.UNKNOWN, Severity.ALERT),
    ],
)
def test_advice_is_as_urgent_as_its_reason(code: str, diagnosis: DiagnosisKind, severity: Severity) -> None:
    """Advice asks for action, unless what it reports was wanted or is over, and an attack is an alert."""
    assert notice_of(advice(code, diagnosis)).severity is severity


@pytest.mark.parametrize(
    ("event", "severity"),
    [
        ("requested", "action"),
        ("granted", "info"),
        ("failed", "action"),
        ("rolled_back", "action"),
        ("revoked", "info"),
    ],
)
def test_severity_says_whether_somebody_must_act(event: str, severity: str) -> None:
    """Requests and failures ask for action, what is done does not."""
    assert notice_of(ALL[event]()).severity == severity


def test_a_guard_that_is_down_is_an_alert_whatever_the_state() -> None:
    """A request made because the allowlist is broken stands out, and so does an approval nobody signed."""
    broken = notice_of(requested(reason_code="allowlist_incomplete"))
    assert (broken.severity, subject(broken)[:6]) == (Severity.ALERT, "ALERT:")
    assert notice_of(requested(state=State.FAILED, reason_code="approval_unverified")).severity is Severity.ALERT


def test_the_request_id_names_one_version_of_one_row() -> None:
    """Another version, or another row, has another id."""
    ids = {request_id(row) for row in (requested(), requested(version=2), requested(sk="model#x"), requested(pk="x"))}
    assert len(ids) == 4


@pytest.mark.parametrize(
    ("pk", "expected"),
    [
        (f"account/{ACCOUNT}/IdentityCenterUser/APPROVE-ME:now", "caller of type IdentityCenterUser"),
        ("something else", "unknown caller"),
    ],
)
def test_a_caller_without_role_or_user_is_named_by_its_type(pk: str, expected: str) -> None:
    """The caller's id, of which the caller may have written a part, is not in its name."""
    assert who(blocked_by_scp(pk=pk, principal=None)) == expected


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, "us.amazon.nova-2-lite-v1:0"),
        ({"profile": None, "resources": MODELS[:1]}, "amazon.nova-2-lite-v1:0"),
        ({"profile": None, "resources": ()}, None),
        ({"profile": "us.free text"}, None),
    ],
)
def test_the_target_is_only_what_is_an_arn(changes: dict[str, object], expected: str | None) -> None:
    """What was called is named from an ARN of the row, never from other text."""
    assert target(requested(**changes)) == expected


@pytest.mark.parametrize(
    ("grant", "expected"),
    [
        (requested(), "Bedrock access requested: role llm-app -> us.amazon.nova-2-lite-v1:0 (us-east-1)"),
        (granted(), "Bedrock access granted: role llm-app -> us.amazon.nova-2-lite-v1:0 (us-east-1)"),
        (
            conditional(),
            "Bedrock access requested, condition unmet: role llm-app -> us.amazon.nova-2-lite-v1:0 (us-east-1)",
        ),
        (
            leaked_key(),
            "ALERT: LEAKED AWS KEY, Bedrock denied: user ci -> us.amazon.nova-2-lite-v1:0 (us-east-1)",
        ),
        (
            blocked_by_scp(),
            "Bedrock denial needs another fix: role llm-app -> us.amazon.nova-2-lite-v1:0 (us-east-1)",
        ),
        (
            advice("mode_observe", DiagnosisKind.MISSING_GRANT),
            "Bedrock access would be granted: role llm-app -> us.amazon.nova-2-lite-v1:0 (us-east-1)",
        ),
        (
            advice("message_truncated", DiagnosisKind.UNKNOWN, profile=None),
            "Bedrock denial not understood: role llm-app (us-east-1)",
        ),
        (
            advice("identity_mismatch", DiagnosisKind.UNKNOWN, profile=None, region=""),
            "ALERT: suspicious Bedrock denial refused: role llm-app",
        ),
    ],
)
def test_a_subject_says_what_happened_to_whom(grant: Grant, expected: str) -> None:
    """The subject names the event, the principal, what it called, and the region."""
    assert subject(notice_of(grant)) == expected


def test_a_long_name_gives_way_in_its_middle() -> None:
    """Names that do not fit lose their middles, and the region stays."""
    row = requested(principal=f"arn:aws:iam::{ACCOUNT}:role/{'a' * 32}{'b' * 32}")
    line = subject(notice_of(row))
    assert len(line) == SUBJECT_LENGTH
    assert line.endswith("bbb -> us.amazon.nova-2-lite-v1:0 (us-east-1)")
    assert "role aaa" in line


def test_the_attributes_tell_what_to_filter_by() -> None:
    """Nine attributes, and all of them with a value that SNS takes."""
    assert attributes(notice_of(requested())) == {
        "event": "requested",
        "state": "pending",
        "diagnosis": "missing_grant",
        "reason_code": "no_rule",
        "account": ACCOUNT,
        "region": "us-east-1",
        "layer": "identity",
        "principal": f"arn:aws:iam::{ACCOUNT}:role/service/llm-app",
        "severity": "action",
    }
    bare = attributes(notice_of(requested(principal=None, pk="p" * 600, account="", region="")))
    assert (bare["account"], bare["region"], len(bare["principal"])) == ("unknown", "unknown", 256)
