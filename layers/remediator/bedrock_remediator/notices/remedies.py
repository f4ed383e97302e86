"""Remedies: the texts for what to do next, by the reason code and by the diagnosis. By layer: core/layers.py."""

from collections.abc import Mapping
from typing import Final

from bedrock_remediator.core.grant import DiagnosisKind
from bedrock_remediator.core.layers import LAYERS, Layer

Steps = tuple[str, ...]
"""What to do, a sentence or a few for each step."""

BY_CODE: Final[Mapping[str, Steps]] = {
    "probing": (
        (
            "Look at this first as an attack: whoever holds a stolen key tries one model after the other. Ask the "
            "principal's owner before you grant anything; if nobody can explain the calls, replace the principal's "
            "keys, or end its sessions, and reject the requests."
        ),
    ),
    "too_many_requests": (
        (
            "Ask the principal's owner what calls so many models: a program needs a few. If nobody can explain it, "
            "treat its keys as stolen: replace them, or end its sessions, and reject this, which rejects every request "
            "of the principal that waits."
        ),
        (
            "Otherwise decide the requests that wait. When fewer wait, the next denial of what is named here opens a "
            "request of its own."
        ),
    ),
    "too_many_targets": (
        (
            "Ask the caller's owner what calls so many things that are refused. Whoever tries out a stolen key does, "
            "and so does a program with a list of wrong ids. If nobody can explain it, replace the keys, or end the "
            "sessions."
        ),
        "What was told one by one says what the first of them were; CloudTrail has them all.",
    ),
    "too_many_alerts": (
        (
            "See to the alerts that were told one by one: these are more of the same caller's. CloudTrail has them "
            "all, by the caller's ARN."
        ),
    ),
    "new_address": (
        (
            "A rule would have granted it, but the call came from an address that this principal has not called from "
            "before. See whose it is. Where addresses change by themselves, name their networks in the rule's "
            "source_ips."
        ),
    ),
    "many_callers": (
        (
            "A rule would have granted it, but within a day this principal's denied calls came from very many new "
            "addresses or kinds of client. See whose they are: the key may be stolen. Where addresses change by "
            "themselves, name their networks in the rule's source_ips, or their endpoint in source_vpces."
        ),
    ),
    "new_principal": (
        (
            "The principal was deleted and made again under the same name. Ask whoever manages it whether that was "
            "them, and whether the new one is meant to have what the old one had."
        ),
        "A day after its first denial it is known, and the rule decides about it.",
    ),
    "new_client": (
        (
            "A rule would have granted it, but the call was made by a kind of client that this principal has not used "
            "before. Ask its owner whether the client is theirs."
        ),
    ),
    "mode_observe": (
        "Nothing was changed: the stack's Mode is 'observe'. The policy below is what it would have written.",
        "To let people decide on such requests, set the parameter Mode to 'approve'; to let rules apply, to 'auto'.",
    ),
    "denied_despite_grant": (
        (
            "Look whether the grant is still in place: the policies under /bedrock-access-remediator/ that are "
            "attached to the principal. Terraform or CloudFormation may have detached them; then put the snippet into "
            "its code."
        ),
        (
            "If it is, something that IAM's simulator does not see refuses the call: a service control policy that "
            "asks for the network or a guardrail, a session policy, or a VPC endpoint's policy."
        ),
    ),
    "rule_never": (
        "Nothing to do if the rule is meant: the allowlist's rule says 'never' for this.",
        "If it is not meant, an administrator changes the rule; the next denial is then decided anew.",
    ),
    "principal_not_grantable": (
        (
            "The stack's parameter GrantablePrincipals does not cover this principal, so the service may not touch it. "
            "Whoever owns the principal can add the policy below to it."
        ),
    ),
    "permission_set": (
        (
            "The role belongs to IAM Identity Center, and AWS lets nobody change it in this account. Add the policy "
            "below to its permission set: IAM Identity Center, Permission sets, {permission_set}, Inline policy."
        ),
        "Then provision the permission set to its accounts again. Everybody who uses it gets the access.",
    ),
    "identity_center_user": (
        (
            "Add the access to the permission set that the person uses: IAM Identity Center, Permission sets, Inline "
            "policy. Then provision it to its accounts again."
        ),
    ),
    "service_linked_role": (
        (
            "The role is linked to an AWS service, and only that service can change it. Let the service use a role of "
            "your own, where it can, or another model."
        ),
    ),
    "federated_user": (
        (
            "Change the policy of the IAM user whose keys made the federated session, and the session policy that was "
            "given with it; better, let the workload assume a role, whose denials can be repaired."
        ),
    ),
    "root_user": ("Do not call Bedrock as the account's root user. Use a role; its first denial opens a request.",),
    "aws_service": (
        "See that service's documentation for the role it needs, and give it one of your own where it takes one.",
    ),
    "other_account": ("Tell the administrators of the account that made the call: its policies are theirs.",),
    "account_not_enrolled": (
        (
            "Nothing in that account can be read or changed from here. Its administrators can grant the access by "
            "hand, or enrol the account with this service: deploy stacks/member.yaml in account {account} and name the "
            "account in the parameter EnrolledAccounts of this service's own stack."
        ),
    ),
    "member_role_missing": (
        (
            "Deploy stacks/member.yaml in account {account}, or add the account to the StackSet that does it. The "
            "parameters HubAccountId, HubReadRoleArns and HubWriteRoleArn have their values in the outputs of this "
            "service's own stack."
        ),
        (
            "If it is deployed there already: compare those parameters and OrganizationId, and see that the stack is "
            "also deployed in the region that its PrimaryRegion names, since the roles are made in that one."
        ),
        "From a minute after that on, the next denial is looked at anew, and what failed can be approved again.",
    ),
    "other_action": (
        (
            "This service grants the invocation of models only. An administrator decides whether the principal should "
            "have the action."
        ),
    ),
    "unsupported_resource": (
        (
            "This service grants inference profiles and foundation models only. Whoever owns the principal can allow "
            "what was called in one of its policies, with everything that it leads to: for a prompt router, the router "
            "and every profile and model that it routes to."
        ),
        "Or let the client call an inference profile itself: its first denial is looked at as any other.",
    ),
    "lookup_refused": (
        (
            "This service was not allowed to read what it needs. If that goes for other principals too, something "
            "stops its role triage: an organization's policy, a boundary, or a change of the stack. Its log names the "
            "call and AWS's answer."
        ),
        "From an hour after that on, the next denial of the call is looked at anew.",
    ),
    "profile_id_needed": (
        (
            "Change the client: let it pass modelId {model_id}. Its policies allow that already; nothing needs to be "
            "granted."
        ),
    ),
    "model_not_found": (
        (
            "Correct the model's identifier in the client, or call in a region that has the model: aws bedrock "
            "list-foundation-models --region {region} shows what there is."
        ),
    ),
    "no_profile_serves_model": (
        (
            "The model cannot be called on demand in {region}, and no inference profile there routes to it. Use "
            "another model or another region, or buy provisioned throughput."
        ),
    ),
    "profile_choice": (
        (
            "The record does not say which inference profile the client used. The narrowest one that fits was chosen; "
            "before you grant it, ask the owner of the client which of these it passes as modelId: {candidates}."
        ),
    ),
    "model_or_profile": (
        (
            "The record does not say whether the client called the model itself or through an inference profile. Ask "
            "its owner before you grant; the grant as it stands is for the model itself."
        ),
    ),
    "profile_from_request": (
        (
            "The message names no resource. The profile or model is the one that the caller's own request names, and "
            "AWS confirms that it exists: check that it is the one that is meant."
        ),
    ),
    "record_contradicts_itself": (
        (
            "The message denies one thing and the request names another; the reason has both names, and the grant is "
            "for the one that the message denies. Look the record up in CloudTrail by its event id, and ask the owner "
            "of the client which it calls, before you grant anything."
        ),
    ),
    "layer_unknown": (
        (
            "The message does not say which kind of policy refused the call, so a grant may not be what is missing. "
            "IAM's simulator is asked before and after anything is written."
        ),
    ),
    "paused": (
        "Every grant of this stack is paused. Find out why before you decide on this one.",
        "After the pause (parameter Paused set to 'false'), decide on the request.",
    ),
    "allowlist_incomplete": (
        (
            "A document of the allowlist cannot be read or parsed, so no rule applies by itself any more. Repair that "
            "first: the function triage's log names the document."
        ),
        "Decide on this request as on any other.",
    ),
    "cap_reached": (
        (
            "The rule's limit of grants for one day is used up. Look at what it granted today before you grant more: a "
            "sudden rush can be a stolen credential trying every model."
        ),
    ),
    "backfill": ("The denial was sent in afterwards, and such denials never apply by themselves. Decide on it.",),
    "inputs_changed": (
        (
            "What AWS says of the profile has changed since this was decided, so it has to be decided again. Compare "
            "the list of ARNs."
        ),
    ),
    "rule_no_longer_allows": (
        "The allowlist no longer allows this by itself; it did when the request was made. Decide on it.",
    ),
    "diagnosis_changed": (
        (
            "A rule grants what is merely missing, and the principal's own policies say otherwise. Look at them before "
            "you decide. If nobody has changed them since the denial, find out from CloudTrail who wrote to the ledger."
        ),
    ),
    "policies_unreadable": (
        (
            "The principal's policies could not be read, so no rule applies. Look at them, and decide; the error in "
            "the reason says what kept the service's role from reading them."
        ),
    ),
    "expired": (
        "The grant would have ended before it was made. The next denial of the same call opens a new request.",
    ),
    "profile_missing": (
        (
            "The inference profile has been deleted since the request was made. Let the client pass one that exists; "
            "its first denial opens a request."
        ),
    ),
    "model_missing": (
        (
            "AWS no longer offers the model in that region. Let the client pass one that it offers; its first denial "
            "opens a request."
        ),
    ),
    "model_needs_profile": (
        (
            "The model can be called through an inference profile only. Let the client pass the profile's id; its "
            "first denial opens a request."
        ),
    ),
    "row_inconsistent": (
        (
            "The ledger's row contradicts itself, which no function of this service writes. Find out from CloudTrail "
            "who or what else wrote to the ledger."
        ),
        "Nothing was granted.",
    ),
    "stale_approval": (
        "The approval came too late to be carried out. The next denial of the same call opens a new request.",
    ),
    "principal_missing": ("The principal no longer exists. If it was deleted on purpose, nothing is left to do.",),
    "principal_recreated": (
        (
            "The principal was deleted and made again under the same name since it was denied; the new one gets "
            "nothing that was meant for the old one. Its own next denial opens a new request."
        ),
    ),
    "approval_unverified": (
        (
            "The row says that a person approved it, but the approval's signature does not hold. Somebody or something "
            "other than this service wrote to the ledger: find out from CloudTrail who did."
        ),
        "Nothing was granted.",
    ),
    "approval_used": (
        (
            "The row shows an approval that counted before, and whose grant has ended. No function of this service "
            "puts one back: find out from CloudTrail who or what else wrote to the ledger. If access is needed again, "
            "the next denial opens a new request."
        ),
        "Nothing was granted.",
    ),
    "identity_mismatch": (
        (
            "Parts of the event name different accounts, regions or principals, or a role under a path that it does "
            "not have. A genuine CloudTrail event never does: find out who can put messages into the denials queue or "
            "events on the bus."
        ),
        "Nothing was granted.",
    ),
}

BY_DIAGNOSIS: Final[Mapping[DiagnosisKind, Steps]] = {
    DiagnosisKind.ALREADY_ALLOWED: (
        (
            "Nothing to do if calls work by now: the denial is older than the policy that allows it, and a change in "
            "IAM takes some seconds to reach every region."
        ),
        (
            "If calls still fail, the refusal comes from elsewhere: a session policy, a service control policy with "
            "conditions, or a VPC endpoint's policy."
        ),
    ),
    DiagnosisKind.UNKNOWN: LAYERS[Layer.UNKNOWN].steps,
}
