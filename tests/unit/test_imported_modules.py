"""What each function imports at start: a cold start pays for every module, so none comes in unseen."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[2]
ARN: Final = "arn:aws:sns:us-east-1:111122223333:topic"
ENVIRONMENT: Final = {
    "ALLOWLIST_PATH": "/allowlist",
    "AMAZON_Q_TOPIC_ARN": "",
    "APPROVALS_TOPIC_ARN": ARN,
    "APPROVAL_KEYS_SECRET_ARN": "arn:aws:secretsmanager:us-east-1:111122223333:secret:keys",
    "USED_APPROVALS_TABLE": "used",
    "APPROVAL_KEY_ID": "11111111-2222-3333-4444-555555555555",
    "APPROVAL_LAPSE_HOURS": "72",
    "APPROVER_AUTH": "link",
    "APPROVER_ROLE_ARNS": "",
    "APPROVAL_URL": "https://example.com",
    "AWS_DEFAULT_REGION": "us-east-1",
    "DEFAULT_GRANT_DAYS": "0",
    "EDIT_KEY_ID": "",
    "PRINCIPAL_GRANTS_PER_DAY": "10",
    "PROBE_PROFILES": "8",
    "PROBE_WINDOW_MINUTES": "60",
    "UNKNOWN_CALLER_ASKS": "true",
    "ENROLLED_ACCOUNTS": "",
    "EXTRA_ACTIONS": "",
    "GRANTABLE_PRINCIPALS": "arn:*",
    "LEDGER_TABLE": "ledger",
    "MAX_GRANT_DAYS": "0",
    "MODE": "auto",
    "NOTICES_PER_HOUR": "100",
    "NOTICES_TOPIC_ARN": ARN,
    "APPROVALS_EMAIL": "",
    "NOTICES_EMAIL": "",
    "OIDC_CLAIM": "",
    "OIDC_CLAIM_VALUE": "",
    "OIDC_CLIENT_ID": "",
    "OIDC_CLIENT_SECRET_ARN": "",
    "OIDC_ISSUER": "",
    "PAUSED": "false",
    "POLICY_STRATEGY": "managed",
    "POWERTOOLS_METRICS_NAMESPACE": "Test",
    "POWERTOOLS_SERVICE_NAME": "test",
    "REFUSED_QUEUE_URL": "https://sqs.us-east-1.amazonaws.com/111122223333/queue",
    "OPEN_REQUESTS_PER_PRINCIPAL": "5",
    "SLACK_API_URL": "https://slack.com/api/",
    "SLACK_APPROVERS": "",
    "SLACK_APP_ID": "",
    "SLACK_CHANNEL_ID": "C0123456789",
    "SLACK_QUEUE_URL": "https://sqs.us-east-1.amazonaws.com/111122223333/queue",
    "SLACK_SIGNING_SECRET_ARN": "",
    "SLACK_TEAM_ID": "",
    "SLACK_TOKEN_SECRET_ARN": "arn:aws:secretsmanager:us-east-1:111122223333:secret:token",
    "VERIFY_SECONDS": "0",
}
RUNTIME: Final = frozenset({"botocore", "certifi", "dateutil", "jmespath", "six", "urllib3"})
"""botocore and what it brings: the runtime has them, and every function pays for them. boto3 is not among them."""
COMMON: Final = frozenset({"aws_lambda_powertools", "bedrock_remediator", "msgspec", "typing_extensions"})
OWN: Final = {
    "triage": frozenset[str](),  # YAML is imported only where a document of the allowlist is written in it
    "remediate": frozenset[str](),
    "notify": frozenset({"itsdangerous", "yaml"}),  # links to approve, and CloudFormation to paste
    "approve": frozenset({"itsdangerous", "yaml"}),  # jinja2 comes with the first page, joserfc with the first sign-in
    "slack": frozenset({"itsdangerous", "slack_sdk", "yaml"}),
    "upkeep": frozenset({"yaml"}),
}
SEEN_FROM_HERE: Final = """
import json, sys
before = set(sys.modules)
import app
new = {name.partition(".")[0] for name in set(sys.modules) - before}
# What begins with an underscore, and Cython's own, comes with a compiled module and has no file.
third = {name for name in new - sys.stdlib_module_names if not name.startswith("_")}
print(json.dumps(sorted(third - {"app", "cython_runtime"})))
"""


def imported(function: str) -> set[str]:
    """The top-level modules, those of Python itself left out, that come with the function's handler."""
    paths = (ROOT / "functions" / function, ROOT / "layers" / "remediator")
    environment = ENVIRONMENT | {"PYTHONPATH": os.pathsep.join(map(str, paths)), "PATH": os.environ["PATH"]}
    done = subprocess.run(  # noqa: S603 - this interpreter, and code of this file
        [sys.executable, "-c", SEEN_FROM_HERE], env=environment, capture_output=True, text=True, check=True
    )
    found: list[str] = json.loads(done.stdout)
    return set(found)


@pytest.mark.parametrize("function", OWN)
def test_a_function_imports_nothing_that_is_not_listed(function: str) -> None:
    """The handler's import brings in botocore, Powertools, msgspec, our own code, and what is listed for it."""
    assert imported(function) - RUNTIME - COMMON == OWN[function]
