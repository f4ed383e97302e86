"""The fix plan: the policy that each principal lacks, compiled and checked as the service's own are, in a folder."""

import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from msgspec import Struct

from bedrock_remediator.core.arn import Principal
from bedrock_remediator.core.policy import Entitlement, check, compile_policies
from bedrock_remediator_cli.audit import wording
from bedrock_remediator_cli.audit.findings import Audited, Finding
from bedrock_remediator_cli.trouble import EnvironmentTrouble

INDEX: Final = "plan.json"


class Plan(Struct, frozen=True, kw_only=True):
    """What one principal needs: policy documents (JSON text), and the findings that they answer."""

    principal: Principal
    documents: tuple[str, ...]
    findings: tuple[Finding, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The file of each document: `role.NAME.1.json`."""
        stem = f"{self.principal.kind}.{self.principal.name}"
        return tuple(f"{stem}.{number}.json" for number in range(1, len(self.documents) + 1))


def plans(audited: Iterable[Audited], extra_actions: Sequence[str] = ()) -> Iterator[Plan]:
    """The plan of each principal that a further policy would help; each document has passed the grammar.

    Raises:
        PolicyTooLargeError: One grant alone does not fit a policy.
        NotOursError: A document does not pass; nothing of it may be used.
    """
    for each in audited:
        answered = tuple(finding for finding in each.findings if finding.fixable)
        entitlements = [
            Entitlement(
                profile=affected.profile, models=tuple(arn for arn in affected.needed if arn != affected.profile)
            )
            for finding in answered
            for affected in finding.affected
        ]
        documents = compile_policies(entitlements, extra_actions)
        for document in documents:
            check(document, extra_actions, within=entitlements)
        if documents:
            yield Plan(principal=each.principal, documents=documents, findings=answered)


def write(found: Sequence[Plan], folder: Path) -> None:
    """Write the plans: a file a policy, and an index of them. Nothing that exists is overwritten.

    Raises:
        EnvironmentTrouble: The folder is not empty, or cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise EnvironmentTrouble(f"{folder} is not empty. Name a folder that is, or does not exist yet.")
        for plan in found:
            for name, document in zip(plan.names, plan.documents, strict=True):
                _write(folder / name, json.loads(document))
        _write(folder / INDEX, [_entry(plan) for plan in found])
    except OSError as error:
        raise EnvironmentTrouble(f"{folder} cannot be written: {error.strerror}") from error


def _write(path: Path, content: Any) -> None:
    with path.open("x", encoding="utf-8") as file:
        file.write(json.dumps(content, indent=2) + "\n")


def _entry(plan: Plan) -> dict[str, Any]:
    return {
        "principal": plan.principal.arn,
        "policies": list(plan.names),
        "where": "its permission set in IAM Identity Center" if plan.principal.identity_center else "the principal",
        "answers": [wording.sentence(plan.principal, finding) for finding in plan.findings],
        "profiles": sorted({each.client_model_id for finding in plan.findings for each in finding.affected}),
    }
