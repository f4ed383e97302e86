import json
import re
from pathlib import Path

import pytest

from bedrock_remediator.core.policy import NotOursError, check
from bedrock_remediator_cli.audit import fix_plan
from bedrock_remediator_cli.audit.account import AccountReader
from bedrock_remediator_cli.audit.audit import Audit
from bedrock_remediator_cli.audit.examination import examine
from bedrock_remediator_cli.audit.findings import DESCRIPTIONS, Audited, Kind, Member
from bedrock_remediator_cli.audit.report import content, sarif
from bedrock_remediator_cli.trouble import EnvironmentTrouble
from tests.builders.audits import ACCOUNT, CATALOGUE, NOVA, NOW, US_NOVA, allow, member, model, policy
from tests.builders.iam_pages import IamPages


def audited(given: Member) -> Audited:
    """What is found of a principal."""
    return Audited(principal=given.principal, findings=examine(given, (CATALOGUE,), None, NOW))


BARE = audited(member(policy(allow(model(NOVA)))))
SSO = audited(
    member(
        policy(allow(model(NOVA))),
        name="AWSReservedSSO_Data_0123456789abcdef",
        path="/aws-reserved/sso.amazonaws.com/",
    )
)


def test_sarif_has_the_shape_that_readers_require() -> None:
    """Every result has its rule, a level, a message, a place and a fingerprint that stays the same."""
    log = json.loads(json.dumps(sarif([BARE, SSO])))
    assert (log["version"], len(log["runs"])) == ("2.1.0", 1)
    assert log["$schema"].startswith("https://docs.oasis-open.org/sarif/")
    (run,) = log["runs"]
    rules = run["tool"]["driver"]["rules"]
    assert run["tool"]["driver"]["name"]
    assert [rule["id"] for rule in rules] == [kind.value for kind in Kind] == [kind.value for kind in DESCRIPTIONS]
    assert all(rule["shortDescription"]["text"] for rule in rules)
    assert len(run["results"]) == 2
    for result in run["results"]:
        assert rules[result["ruleIndex"]]["id"] == result["ruleId"]
        assert result["level"] in {"error", "warning", "note", "none"}
        assert result["message"]["text"]
        (location,) = result["locations"]
        assert re.fullmatch(
            r"iam/\d{12}/role/[A-Za-z0-9%_.-]+", location["physicalLocation"]["artifactLocation"]["uri"]
        )
        assert location["logicalLocations"][0]["fullyQualifiedName"].startswith("arn:aws:iam::")
    first, second = (result["partialFingerprints"]["finding/v1"] for result in run["results"])
    assert first != second
    assert sarif([BARE])["runs"][0]["results"][0]["partialFingerprints"]["finding/v1"] == first


def test_the_plan_is_what_the_service_would_write(tmp_path: Path) -> None:
    """The plan's policies pass the grammar, and allow all that the profile needs and nothing else."""
    found = tuple(fix_plan.plans([BARE]))
    fix_plan.write(found, tmp_path / "plan")
    assert sorted(path.name for path in (tmp_path / "plan").iterdir()) == ["plan.json", "role.app.1.json"]
    document = json.loads((tmp_path / "plan" / "role.app.1.json").read_text())
    check(document, ())
    allowed = {arn for statement in document["Statement"] for arn in statement["Resource"]}
    assert allowed == set(US_NOVA.resources)
    (entry,) = json.loads((tmp_path / "plan" / "plan.json").read_text())
    assert (entry["principal"], entry["policies"]) == (BARE.principal.arn, ["role.app.1.json"])
    with pytest.raises(NotOursError):
        check({**document, "Statement": [allow("*")]}, ())


def test_a_plan_overwrites_nothing(tmp_path: Path) -> None:
    """A folder that holds something is refused, and left as it is."""
    (tmp_path / "role.app.1.json").write_text("mine")
    with pytest.raises(EnvironmentTrouble, match="not empty"):
        fix_plan.write(tuple(fix_plan.plans([BARE])), tmp_path)
    assert (tmp_path / "role.app.1.json").read_text() == "mine"


def test_identity_centers_roles_are_told_where_to_go() -> None:
    """The policy of such a role goes into its permission set."""
    assert "permission set" in content(SSO)[0]["advice"]
    assert "permission set" not in content(BARE)[0]["advice"]


def test_pages_are_read_as_iam_gives_them() -> None:
    """Policies come by group, attachment and inline; a boundary counts; service-linked roles are left out."""
    pages = IamPages(
        policies={"Models": [allow(model(NOVA))], "Other": [allow("*", action="s3:*")], "Limit": [allow("*")]},
        groups={"ml": ["Models"]},
        users={"dana": ["ml"]},
        roles={"app": ["Models", "Other"], "bounded": ["Models"], "plain": ["Other"]},
        boundaries={"bounded": "Limit"},
        linked=["AWSServiceRoleForBedrock"],
    )
    reader = AccountReader(pages)
    assert sum(reader.read_policies()) == 4
    audit = Audit((CATALOGUE,), None, NOW)
    found = [each for page in audit.of(reader) for each in page]
    assert {each.principal.name: len(each.findings) for each in found} == {"app": 1, "bounded": 1, "dana": 1}
    assert (audit.examined, pages.most_at_once) == (4, 500)


def test_a_large_account_is_read_a_page_at_a_time() -> None:
    """Every page is asked for by the marker of the one before, and no principal is lost between them."""
    pages = IamPages(
        policies={"Models": [allow(model(NOVA))], "Other": [allow("*", action="s3:*")]},
        roles={f"role-{number}": ["Models" if number % 7 == 0 else "Other"] for number in range(1200)},
    )
    reader = AccountReader(pages)
    list(reader.read_policies())
    audit = Audit((CATALOGUE,), None, NOW)
    found = [[each.principal.name for each in page] for page in audit.of(reader)]
    assert (audit.examined, [len(page) for page in found]) == (1200, [72, 71, 29])
    assert found[0][:2] == ["role-0", "role-7"]


def test_principals_alike_are_examined_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Roles with the same policies are examined once, unless a policy looks at who asks."""
    examined: list[str] = []

    def counting(given: Member, *rest: object) -> tuple[()]:
        examined.append(given.principal.name)
        return ()

    monkeypatch.setattr("bedrock_remediator_cli.audit.audit.examine", counting)
    own = allow(f"arn:aws:bedrock:*:{ACCOUNT}:inference-profile/${{aws:username}}")
    pages = IamPages(
        policies={"Models": [allow(model(NOVA))], "Own": [own]},
        roles={"a": ["Models"], "b": ["Models"], "c": ["Own"], "d": ["Own"]},
    )
    reader = AccountReader(pages)
    list(reader.read_policies())
    list(Audit((CATALOGUE,), None, NOW).of(reader))
    assert examined == ["a", "c", "d"]
