import os
from pathlib import Path

import pytest
from msgspec.structs import replace

from bedrock_remediator.core.grant import ASKED, Event, State, Verification, Written
from bedrock_remediator.core.policy import Entitlement, compile_policies
from bedrock_remediator.notices.email import text
from bedrock_remediator.notices.notice import Plan
from bedrock_remediator.notices.snippets import Snippets
from bedrock_remediator.notices.untrusted_text import WIDTH
from tests.builders.grants import MODELS, NOON, PROFILE
from tests.builders.notices import (
    ALL,
    advice,
    blocked_by_scp,
    conditional,
    granted,
    leaked_key,
    notice_of,
    permission_set,
    requested,
    wrong_prefix,
)

GOLDEN = Path(__file__).parent / "golden"
SHORT = Snippets(json="(the policy)\n", terraform="(Terraform)\n", cloudformation="(CloudFormation)\n")
OTHER = PROFILE.replace("us.amazon", "global.amazon")


def flat(mail: str) -> str:
    """The mail without its line breaks, to look for sentences in."""
    return " ".join(mail.split())


@pytest.mark.parametrize("event", ALL)
def test_each_kind_of_mail_reads_as_agreed(event: str) -> None:
    """The mail of each kind is the one in golden/; to change it on purpose, run with GOLDEN=write and review."""
    notice = notice_of(ALL[event]())
    if notice.plan.snippets:
        notice = replace(notice, plan=replace(notice.plan, snippets=SHORT))
    mail = text(notice)
    file = GOLDEN / f"{event}.txt"
    if os.environ.get("GOLDEN") == "write":
        file.write_text(mail)
    assert mail == file.read_text()


@pytest.mark.parametrize("event", ALL)
def test_a_line_is_72_columns_unless_it_is_code_or_one_word(event: str) -> None:
    """Prose and tables keep to the width; an ARN is never broken."""
    for line in text(notice_of(ALL[event]())).split("TO PASTE INTO")[0].splitlines():
        assert len(line) <= WIDTH or '"' in line or len(line.split()[-1]) > WIDTH // 2


def test_a_mail_is_printable_ascii() -> None:
    """Whatever a mail client does with character sets, it shows the mail."""
    for make in ALL.values():
        mail = text(notice_of(make()))
        assert mail.isascii()
        assert mail.replace("\n", "").isprintable()


def test_denials_are_counted_in_words() -> None:
    """Once, many times, or at least when."""
    assert "once" in text(notice_of(requested(), denials=1))
    assert "12,345 times" in text(notice_of(requested(), denials=12_345))
    assert "Denied       2026-11-20 12:00 UTC" in text(notice_of(requested(), denials=0))


def test_a_possible_duplicate_says_so() -> None:
    """The reader of a second copy learns at its top that it may be one."""
    assert "This may be a duplicate" in text(notice_of(requested(), may_be_duplicate=True)).splitlines()[2]
    assert "duplicate" not in text(notice_of(requested()))


def test_the_diff_shows_what_the_grant_adds() -> None:
    """Before and after are the principal's whole policy, other grants included."""
    other = granted(sk=f"profile#{OTHER}", profile=OTHER, resources=(OTHER, *MODELS), expires_at=None)
    mail = text(notice_of(requested(), [other]))
    added = [line for line in mail.splitlines() if line.startswith("  +")]
    assert any(PROFILE in line for line in added)
    assert not any(OTHER in line for line in added)
    assert OTHER in mail


def test_a_second_policy_has_a_diff_of_its_own() -> None:
    """Of several policies each is compared with itself."""
    one, two = (compile_policies([Entitlement(profile=arn, models=MODELS)], ()) for arn in (PROFILE, OTHER))
    mail = text(notice_of(requested(), plan=Plan(before=one, after=one + two, own=two)))
    assert "+++ after (policy 2)" in mail
    assert "+++ after\n" not in mail


def test_the_last_grants_end_is_one_sentence() -> None:
    """Nothing is left to compare with when the principal's policy goes."""
    assert "last grant of this service: its policy is gone" in flat(text(notice_of(granted(state=State.REVOKED))))


def test_in_place_says_where_the_arns_go() -> None:
    """A stack that edits the principal's own policy shows the grant all the same, and says so."""
    mail = text(notice_of(conditional(), strategy="in-place"))
    assert "go into the principal's own policy" in flat(mail)
    assert "the models can be called directly too" in flat(mail)
    row = granted(written=Written(strategy="in-place", policies=("base",), added=(PROFILE,)))
    assert "2026-12-20 12:00 UTC, by itself" in flat(text(notice_of(row)))


def test_the_end_of_a_grant_is_told() -> None:
    """A date, a length of time, or none."""
    assert "Ends         2026-12-20 12:00 UTC, by itself" in text(notice_of(granted()))
    assert "Ends         30 days after it is granted" in text(notice_of(requested(grant_seconds=2_592_000)))
    assert "Ends         not by itself" in text(notice_of(requested()))


def test_the_model_that_is_allowed_already_is_marked() -> None:
    """What the principal may call already stands beside what is missing."""
    assert f"{MODELS[0]}\n               (allowed already)" in text(notice_of(requested(allowed=(MODELS[0],))))


def test_a_direct_grant_says_that_nothing_restricts_it() -> None:
    """A model granted without a profile is said to be."""
    direct = requested(sk=f"model#{MODELS[0]}", profile=None, resources=MODELS[:1], model_id="amazon.nova-2-lite-v1:0")
    assert "none: the model is granted for direct calls" in text(notice_of(direct))


def test_what_was_written_and_how_sure_it_is() -> None:
    """An active grant names its policies, the ARNs added in place, and what the simulator said."""
    in_place = granted(
        written=Written(strategy="in-place", policies=("base",), added=(PROFILE,)),
        verification=Verification.INCONCLUSIVE,
    )
    mail = text(notice_of(in_place))
    assert "in-place policy\n               base\n  Added there  arn:aws:bedrock" in mail
    assert "inconclusive: IAM's policy simulator gave no clear answer" in flat(mail)
    assert "Written" not in text(notice_of(granted(written=None)))


def test_an_unsure_grant_names_what_leaves_it_open() -> None:
    """The layer and the keys that the simulator's answer hangs on are told of, as the grant's history has them."""
    doubt = "the policy simulator says that an SCP stops bedrock:InvokeModel, which depends on aws:SourceVpce."
    steps = (
        Event(at=NOON, state=State.ACTIVE, by="remediate", reason=f"{ASKED}an older answer."),
        Event(at=NOON, state=State.ACTIVE, by="remediate", reason=f"{ASKED}{doubt}"),
        Event(at=NOON, state=State.ACTIVE, by="upkeep", reason="Put right."),
    )
    mail = text(notice_of(granted(verification=Verification.INCONCLUSIVE, history=steps)))
    assert f"Verified inconclusive: {doubt}" in flat(mail)


def test_the_last_step_is_told() -> None:
    """Who rejected a request, and why, is in the mail about it."""
    steps = (
        Event(at=NOON, state=State.PENDING, by="triage", reason="no rule"),
        Event(at=NOON, state=State.REJECTED, by="ana", reason="Not in production."),
    )
    mail = text(notice_of(requested(state=State.REJECTED, history=steps)))
    assert "rejected by ana, 2026-11-20 12:00 UTC Not in production." in flat(mail)


def test_a_conditional_allow_shows_its_statement_and_no_way_round() -> None:
    """The statement is there in full; there is nothing to paste and nothing to run."""
    mail = text(notice_of(conditional()))
    assert '"bedrock:GuardrailIdentifier"' in mail
    assert "TO PASTE" not in mail
    assert "BY HAND" not in mail
    assert "CONDITION UNMET" in mail.splitlines()[0]


def test_a_wrong_prefix_says_so_at_once() -> None:
    """The first sentence names both ways out."""
    assert "change the client, or grant this one too" in flat(text(notice_of(wrong_prefix())))[:400]


def test_a_role_of_identity_center_gets_its_permission_sets_snippet() -> None:
    """What is to be pasted goes into the permission set; attaching to the role would be refused."""
    mail = text(notice_of(permission_set()))
    assert "aws_ssoadmin_permission_set_inline_policy" in mail
    assert "aws_iam_role_policy_attachment" not in mail
    assert "add to it what the first command shows" in flat(mail)


def test_several_documents_have_several_files() -> None:
    """The mail says which document to save under which name."""
    made = notice_of(requested()).plan
    mail = text(notice_of(requested(), plan=Plan(own=made.own * 2, snippets=made.snippets)))
    assert "its second policy as bedrock-access-2.json" in flat(mail)


def test_a_report_in_mode_observe_shows_the_policy_it_would_write() -> None:
    """Observing, the service reports the grant it would have made, with the policy."""
    row = requested(state=State.REPORTED, reason_code="mode_observe")
    mail = text(notice_of(row, [granted(sk="profile#x", profile=OTHER, resources=(OTHER, *MODELS))]))
    assert "the stack only observes" in flat(mail)
    assert "THE POLICY BEFORE AND AFTER, IF IT WERE GRANTED" in mail


def test_a_denial_that_no_grant_repairs_offers_none() -> None:
    """For a service control policy, a leaked key or a rule that says never there is no policy to paste."""
    never = requested(state=State.REPORTED, reason_code="rule_never")
    for row in (blocked_by_scp(), leaked_key(), never, advice("explicit_deny", resources=requested().resources)):
        mail = text(notice_of(row))
        assert "WHAT WOULD BE GRANTED" not in mail
        assert "TO PASTE" not in mail


def test_parts_that_are_too_long_are_left_out_and_said_to_be() -> None:
    """Without room, a part's place is kept with a word about it."""
    plan = notice_of(requested(), [granted(sk="profile#x", profile=OTHER, resources=(OTHER, *MODELS))]).plan
    short = text(notice_of(requested(), plan=plan), leave_out=frozenset({"policy", "snippets"}))
    assert short.count("Too long for an e-mail.") == 2
    assert '"Statement"' not in short
    assert "THE STATEMENT" not in text(notice_of(conditional()), leave_out=frozenset({"statement"}))


def test_what_the_caller_sent_is_labelled() -> None:
    """The caller's words stand under their own heading, behind bars, with a warning."""
    mail = text(notice_of(requested()))
    part = mail.split("AS SENT BY THE CALLER")[1].split("\n\n")
    assert "Nobody has checked this." in part[0]
    assert all("| " in line for line in part[1].splitlines())
    assert "User agent   | Boto3/1.44.5" in part[1]
    silent = requested(sighting=granted().sighting.__class__(event_id="e", time=NOON))
    assert "AS SENT BY THE CALLER" not in text(notice_of(silent))
