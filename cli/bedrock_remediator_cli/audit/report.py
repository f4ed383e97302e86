"""An audit's findings for programs, and as SARIF 2.1.0, which code scanning and most dashboards of findings read."""

import hashlib
from collections.abc import Iterable
from typing import Any, Final
from urllib.parse import quote

from bedrock_remediator.core.arn import Principal
from bedrock_remediator_cli import __version__
from bedrock_remediator_cli.audit import wording
from bedrock_remediator_cli.audit.findings import DESCRIPTIONS, Audited, Finding, Kind

SCHEMA: Final = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
_KINDS: Final = tuple(Kind)


def sarif(audited: Iterable[Audited]) -> dict[str, Any]:
    """The log of one run."""
    return {
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {
                    "driver": {
                        "name": "bedrock-remediator audit",
                        "version": __version__,
                        "rules": [_rule(kind) for kind in _KINDS],
                    }
                },
                "columnKind": "unicodeCodePoints",
                "results": [_result(each.principal, finding) for each in audited for finding in each.findings],
            }
        ],
    }


def _rule(kind: Kind) -> dict[str, Any]:
    return {
        "id": kind.value,
        "name": "".join(word.title() for word in kind.value.split("-")),
        "shortDescription": {"text": DESCRIPTIONS[kind]},
        "defaultConfiguration": {"level": "error"},
    }


def _result(principal: Principal, finding: Finding) -> dict[str, Any]:
    return {
        "ruleId": finding.kind.value,
        "ruleIndex": _KINDS.index(finding.kind),
        "level": finding.level.value,
        "message": {"text": f"{wording.sentence(principal, finding)} {wording.advice(principal, finding)}"},
        "locations": [
            {
                "physicalLocation": {
                    "artifactLocation": {"uri": quote(f"iam/{principal.account}/{principal.kind}/{principal.name}")},
                    "region": {"startLine": 1},
                },
                "logicalLocations": [{"fullyQualifiedName": principal.arn, "kind": "resource"}],
            }
        ],
        "partialFingerprints": {"finding/v1": _fingerprint(principal, finding)},
        "properties": {"region": finding.region, "policy": finding.policy, "fixable": finding.fixable},
    }


def _fingerprint(principal: Principal, finding: Finding) -> str:
    """The same finding of the same principal, however many profiles it has come to be about."""
    parts = (principal.arn, finding.kind, finding.region or "", finding.policy or "", *finding.subject)
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:32]


def content(audited: Audited) -> list[dict[str, Any]]:
    """The findings of a principal for programs."""
    return [
        {
            "kind": finding.kind,
            "level": finding.level,
            "principal": audited.principal.arn,
            "region": finding.region,
            "policy": finding.policy,
            "subject": list(finding.subject),
            "candidates": list(finding.candidates),
            "profiles": [
                {
                    "arn": each.profile,
                    "model_id": each.model_id,
                    "client_model_id": each.client_model_id,
                    "needed": list(each.needed),
                    "missing": list(each.missing),
                    "alternatives": list(each.alternatives),
                }
                for each in finding.affected
            ],
            "fixable": finding.fixable,
            "message": wording.sentence(audited.principal, finding),
            "advice": wording.advice(audited.principal, finding),
        }
        for finding in audited.findings
    ]
