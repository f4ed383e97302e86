"""An audit's findings for programs."""

from typing import Any

from bedrock_remediator_cli.audit import wording
from bedrock_remediator_cli.audit.findings import Audited


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
