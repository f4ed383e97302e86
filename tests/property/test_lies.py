"""Lies: whatever an event says, nothing escapes, and nothing is granted but what AWS returned to whom AWS named.

Each law is held against a few hundred made-up events here, and against many thousands in the long run.
"""

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final

import pytest
from hypothesis import strategies as st
from msgspec.structs import replace

from bedrock_remediator.aws.ledger.items import grant_item, read_grant
from bedrock_remediator.core import allowlist, cloudtrail, lifecycle
from bedrock_remediator.core.cloudtrail import Denial, RecordError, Unreadable
from bedrock_remediator.core.decision import decide, reported
from bedrock_remediator.core.grant import Outcome
from bedrock_remediator.core.layers import Effect
from bedrock_remediator.core.message import Message
from bedrock_remediator.core.message import read as read_message
from bedrock_remediator.core.policy import INVOKE_ACTIONS, compile_policies, entitlement
from bedrock_remediator.flows.triage.batch import grouped
from bedrock_remediator.flows.triage.investigation import Findings, Investigation
from bedrock_remediator_cli.explain.explanation import explain
from bedrock_remediator_cli.explain.refusals import heard
from bedrock_remediator_cli.explain.samples import gather
from bedrock_remediator_cli.explain.sources import Source
from tests.builders import records as make
from tests.builders.aws import FakeDetails, FakeIam, FakeProfiles, application_profile, policy, profile, statement
from tests.builders.lies import HOSTILE, PROFILE_IDS, Told, bent, contradictions, events, messages, tried
from tests.builders.remediation import SETTINGS

Count = Callable[[str, int], None]

PROFILES: Final = (profile(PROFILE_IDS[0]), profile(PROFILE_IDS[1]), application_profile(PROFILE_IDS[2]))
MODELS: Final = {make.MODEL_ID: ("ON_DEMAND", "INFERENCE_PROFILE")}
RETURNED: Final = {arn for each in PROFILES for arn in each.resources} | {make.model()}
"""Every ARN that AWS gives here."""
ANY_RULE: Final = allowlist.parse(
    {
        "main": json.dumps(
            {
                "version": 1,
                "rules": [
                    {
                        "name": "any",
                        "effect": "auto",
                        "principals": ["arn:aws:iam::*:**"],
                        "models": ["*"],
                    }
                ],
            }
        )
    }
)
NOW: Final = datetime(2026, 11, 20, 10, 30, tzinfo=UTC)
PRINCIPAL: Final = re.compile(r"arn:aws:iam::\d{12}:(role|user)/([\w+=,.@-]+/)*[\w+=,.@-]+")
SDK: Final = "An error occurred (AccessDeniedException) when calling the Converse operation: "
FEW_OR_MANY: Final = pytest.mark.parametrize("many", [120, pytest.param(3_000, marks=pytest.mark.long)])


SETTINGS_OF_HOME: Final = replace(
    SETTINGS, grantable_principals=(f"arn:aws:iam::{make.ACCOUNT}:role/*", f"arn:aws:iam::{make.ACCOUNT}:user/*")
)


def read(told: Told) -> Denial | Unreadable | None:
    """What the service reads; None where it finds no event."""
    try:
        return cloudtrail.read(told.body)
    except RecordError:
        return None


def investigation(iam: FakeIam) -> Investigation:
    """An investigation in an account where one role and one user exist, and three profiles."""
    profiles = FakeProfiles(*PROFILES, models=MODELS)
    return Investigation(home=make.ACCOUNT, iam=iam, profiles=profiles, details=FakeDetails(), policy=SETTINGS_OF_HOME)


def investigated(denial: Denial | Unreadable) -> Findings:
    """What an investigation finds there."""
    iam = FakeIam(policy(statement(make.model("eu-west-1"))))
    found = investigation(iam).investigate(denial, NOW)
    if isinstance(denial, Unreadable):
        assert not iam.asked
    return found


def named_by_identity(event: Any) -> set[str]:
    """The roles and users that the record's userIdentity names, read here anew: strings, and nothing believed."""
    identity = (event.get("detail") or {}).get("userIdentity") or {}
    named = {identity.get("arn")} if isinstance(identity, dict) else set()
    context = identity.get("sessionContext") if isinstance(identity, dict) else None
    issuer = context.get("sessionIssuer") if isinstance(context, dict) else None
    named |= {issuer.get("arn")} if isinstance(issuer, dict) else set()
    texts = {each for each in named if isinstance(each, str)}
    session = re.compile(r"^arn:aws:sts::(\d{12}):assumed-role/([^/]+)/.*$")
    sessions = {session.sub(r"arn:aws:iam::\1:role/\2", each) for each in texts}
    return {each for each in texts | sessions if PRINCIPAL.fullmatch(each)}


def harmless(document: str) -> None:
    """No pattern, no variable, and nothing that AWS did not return."""
    for each in json.loads(document)["Statement"]:
        assert each["Effect"] == "Allow"
        assert set(each["Action"]) <= {*INVOKE_ACTIONS, "bedrock:UseInferenceProfile"}
        assert set(each["Resource"]) <= RETURNED
        conditions = [value for keys in each.get("Condition", {}).values() for value in keys.values()]
        for text in (*each["Resource"], *map(str, conditions)):
            assert not set("*?$") & set(text), text


def holds(told: Told) -> None:
    """From the queue's body to the policy that would be written."""
    denial = read(told)
    if denial is None:
        return
    if told.contradicts:
        assert isinstance(denial, Unreadable), "an event that contradicts itself was believed"
    principal = denial.caller.principal
    if isinstance(denial, Denial) and principal is not None:
        assert principal.arn in named_by_identity(told.event)
    (group,) = grouped([("1", denial)])
    call = group.call(NOW)
    assert all(len(text) <= 100 for text in (call.address or "", call.client or "", *call.targets))
    findings = investigated(denial)
    diagnosis = findings.diagnosis
    if diagnosis.grantable and isinstance(denial, Denial):
        subject = investigation(FakeIam()).subject(findings, denial)
        decision = decide(mode="auto", paused=False, diagnosis=diagnosis, allowlist=ANY_RULE, subject=subject)
    else:
        decision = reported(diagnosis)
    row = lifecycle.new_grant(
        denial,
        diagnosis,
        decision,
        lifecycle.Circumstances(
            pk=group.pk,
            principal=principal.arn if principal else None,
            principal_id="AROAEXAMPLEROLE000001",
            basis="basis",
            grant_for=None,
            simulated=False,
            replaces=None,
            now=NOW,
        ),
    )
    assert read_grant({k: v for k, v in grant_item(row).items() if k not in ("group", "due_at")}) == row
    if decision.outcome is Outcome.REPORT:
        return
    assert isinstance(denial, Denial)
    assert principal is not None
    assert row.pk == row.principal == principal.arn
    assert set(row.resources) <= RETURNED
    for document in compile_policies([entitlement(row)], ("bedrock:UseInferenceProfile",)):
        harmless(document)


@FEW_OR_MANY
def test_no_lie_becomes_a_policy(many: int, count: Count) -> None:
    """Never an exception, never an ARN that AWS did not return, a pattern, or another principal."""
    count("made-up events read, diagnosed and compiled", tried(events(), holds, many))


@FEW_OR_MANY
def test_bytes_that_were_damaged_are_refused_or_read(many: int, count: Count) -> None:
    """JSON with a byte missing, changed or added is no event, or one that is held to the same laws."""

    def damage(parts: tuple[Told, int, int, bytes]) -> None:
        told, at, length, more = parts
        body = told.body.encode()
        place = at % (len(body) + 1)
        try:
            cloudtrail.read(body[:place] + more + body[place + length :])
        except RecordError:
            return

    damaged = st.tuples(events(), st.integers(0, 5000), st.integers(0, 3), st.binary(max_size=3))
    count("damaged events read", tried(damaged, damage, many))


@FEW_OR_MANY
def test_an_event_that_contradicts_itself_is_refused_and_flagged(many: int, count: Count) -> None:
    """About who called, in which account, or where: the alert says so, and neither IAM nor Bedrock is asked."""

    def flagged(event: Any) -> None:
        denial = cloudtrail.read(json.dumps(event))
        assert isinstance(denial, Unreadable)
        assert denial.code == "identity_mismatch"
        findings = investigated(denial)
        assert (findings.diagnosis.code, findings.diagnosis.grantable) == ("identity_mismatch", False)

    count("events that contradict themselves", tried(contradictions(), flagged, many))


@FEW_OR_MANY
def test_a_deny_is_never_read_as_a_lack_of_permissions(many: int, count: Count) -> None:
    """However its message is bent: it stays a deny, becomes uncertain, or is not read."""

    def stays(parts: tuple[str, str]) -> None:
        original, forged = parts
        found = read_message(forged)
        if re.search(r"explicit deny|explicitly denies", original) and isinstance(found, Message):
            assert not (found.refusal.certain and found.refusal.effect is Effect.IMPLICIT)

    texts = messages(make.SESSION).flatmap(lambda text: bent(text).map(lambda forged: (text, forged)))
    count("bent messages read", tried(texts, stays, many))


@FEW_OR_MANY
def test_pasted_text_is_explained_and_proposes_nothing_wide(many: int, count: Count) -> None:
    """What the command line makes of a lie: an explanation always, and no pattern from it in a policy."""

    def explained(text: str) -> None:
        for refusal in heard(gather([Source(text, "")]).samples):
            fields = explain(refusal).fields()
            for each in (fields["policy"] or {"Statement": []})["Statement"]:
                named = [each["Resource"]] if isinstance(each["Resource"], str) else each["Resource"]
                for arn in named:
                    bare = re.sub(r"^arn:[a-z-]+:bedrock:(\*|REGION)::foundation-model/", "", arn)
                    assert not set("*?") & set(bare), arn
                    assert "${" not in arn

    pasted = st.one_of(
        messages(make.SESSION).flatmap(bent),
        messages(make.SESSION).flatmap(bent).map(lambda text: json.dumps({"Message": text})),
        events().map(lambda told: told.body),
        st.lists(st.sampled_from((*HOSTILE, SDK)), max_size=6).map("".join),
    )
    count("pasted texts explained", tried(pasted, explained, many))
