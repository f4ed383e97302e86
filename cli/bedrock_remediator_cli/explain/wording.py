"""What `explain` advises, in sentences."""

from typing import Final

PROFILE_NEEDED: Final = (
    "No permission is missing: {} cannot be called by its own id. Pass the id of an inference profile that contains it "
    "as modelId."
)
LIST_PROFILES: Final = "Which there are: aws bedrock list-inference-profiles"
UNREAD: Final = (
    "Nothing is proposed for what cannot be read whole. Paste the message as it was printed, or give the CloudTrail "
    "record of the call."
)
QUARANTINED: Final = (
    "This is an alert: AWS has quarantined the principal because an access key of it was found in public. Treat its "
    "keys as stolen: deactivate them, and look in CloudTrail at what they were used for."
)
KEEP_QUARANTINE: Final = "Add nothing, and leave the quarantine policy where it is until the keys are replaced."
DENIED: Final = "{} denies the call explicitly, and a deny wins over any policy that is added."
ON_PURPOSE: Final = "It was put there on purpose: ask who owns it before anything is changed."
GUARDRAIL: Final = (
    "Access to the model is not the matter: the call names a guardrail that the principal may not apply. Whoever owns "
    "the guardrail decides; do not take it out of the call to get round this."
)
SERVICE_LINKED: Final = "{} is linked to an AWS service, and only that service can change it."
ROOT: Final = (
    "The root user has no policies: only an organization's policy stops it. Do not call Bedrock as root; use a role."
)
FEDERATED: Final = (
    "A federated user has what both the IAM user who called GetFederationToken and the session policy given with that "
    "call allow. Look at both; the message does not tell which of them lacks the right."
)
NOBODY: Final = "The caller is neither an IAM user nor a role, so it is not told where a policy would have to be added."
LAYER_NOT_TOLD: Final = (
    "The message does not say which kind of policy refused the call. Look into the principal's own policies first: if "
    "nothing there allows it, add the policy below; if something does, the refusal comes from elsewhere."
)
NO_WHOLE_ARN: Final = (
    "The resource in the message is not a whole ARN, so it is not known what a policy would have to name. Paste the "
    "message again as it was printed, or give the CloudTrail record."
)
NOTHING_NAMED: Final = (
    "The message names no model and no profile, so no policy is written: give the id that the client passes with "
    "--model-id."
)
UNKNOWN_WORDS: Final = "The message ends in words that are not known here; read them."
SAME_WORDS: Final = (
    "If the role was assumed with a session policy, or a policy that allows the call has a Condition (a required "
    "guardrail, say), AWS writes the same words: meet that, and add nothing."
)
TO_THE_CALLER: Final = "Add the policy below to the role or user that made the call; the message does not name it."
TO_PERMISSION_SET: Final = (
    "Add the policy below to the permission set of {} in IAM Identity Center, and provision it again: AWS lets nobody "
    "change the role itself."
)
MODEL_IN_DISGUISE: Final = (
    "The message does not tell whether the client called the model itself or an inference profile. If it passes a "
    "profile's id (it begins with us., eu., apac., global. or the like), say so with --model-id: a profile needs more "
    "than this one ARN."
)
APPLICATION_MODELS: Final = (
    "Which models an application profile uses, only AWS knows. Put what this lists in the place of the ARN with "
    "MODEL_ID: {}"
)
REGION_NOT_TOLD: Final = "The source region is not told: write the one that the client calls in the place of REGION."
ROUTED_REGIONS: Final = (
    "Which regions the profile routes to, only AWS knows, so the policy names the model in any region, but only "
    "through this profile. For the list: {}"
)
STATEMENT: Final = "The statement that stands in the way: {}"
NOT_ASKED_ACCOUNT: Final = "AWS was not asked: the credentials are of account {}, and the call of account {}."
NOT_ASKED_MASKED: Final = "AWS was not asked: the account of the call is masked."
NOT_ASKED_CALLER: Final = "AWS was not asked: the message names no IAM role or user as the caller."
RECORDED: Final = "IAM recorded that another layer stopped the call than the message names; this is about that layer."
MAY_NOT_ASK: Final = "The principal's policies could not be read: you may not call {}."
