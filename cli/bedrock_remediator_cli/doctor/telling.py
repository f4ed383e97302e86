"""Whether people hear of it: the topics, unconfirmed mail, and Slack."""

import logging
from collections.abc import Iterator
from typing import Any, Final

from slack_sdk import WebClient
from slack_sdk.errors import SlackApiError, SlackClientError

from bedrock_remediator_cli.doctor.check import Check, Ward, broken, look, ok

_PENDING: Final = "PendingConfirmation"
_SECONDS: Final = 10
_MAIL: Final = frozenset({"email", "email-json"})
_TOPICS: Final = (("approvals", "ApprovalsTopicArn"), ("notices", "NoticesTopicArn"))


def topics(ward: Ward) -> Check:
    """Whether somebody is subscribed to each topic, every subscription is confirmed, and no mail's link ends one."""
    client = ward.aws.client("sns")
    unconfirmed: list[str] = []
    empty: list[str] = []
    reached: list[str] = []
    mail: list[dict[str, Any]] = []
    for name, output in _TOPICS:
        arn = ward.stack.output(output, "Is it this service's stack?")
        found = list(_subscriptions(client, arn))
        unconfirmed += [f"{each['Endpoint']} ({name})" for each in found if each["SubscriptionArn"] == _PENDING]
        confirmed = [each for each in found if each["SubscriptionArn"].startswith("arn:")]
        mail += [each for each in confirmed if each["Protocol"] in _MAIL]
        reached.append(f"{name}: {len(confirmed)}")
        if not found:
            empty.append(name)
    unguarded = [each for each in mail if not _is_guarded(client, each["SubscriptionArn"])]
    if unconfirmed:
        return broken(
            "subscriptions",
            f"Not confirmed, so not told: {', '.join(unconfirmed)}.",
            "Find AWS's mail in that mailbox, or in its spam, and confirm by its token (README, Confirm the "
            "subscriptions); deploy again if three days have passed.",
        )
    if empty:
        return look(
            "subscriptions",
            f"Nobody is subscribed to {' and '.join(empty)}.",
            "Set NotificationEmail, ApproverEmail or Slack, or subscribe a queue, unless nobody shall be told.",
        )
    if unguarded:
        return look(
            "subscriptions",
            f"Anybody who opens the link at the end of a mail unsubscribes {', '.join(_addresses(unguarded))}: a mail "
            "scanner does.",
            "Unsubscribe them, subscribe again, and confirm with `aws sns confirm-subscription --topic-arn ARN --token "
            "TOKEN --authenticate-on-unsubscribe true` (README, Confirm the subscriptions).",
        )
    return ok("subscriptions", f"Confirmed subscriptions: {', '.join(reached)}.")


def _is_guarded(client: Any, arn: str) -> bool:
    """Whether ending an e-mail subscription takes credentials."""
    answer = client.get_subscription_attributes(SubscriptionArn=arn)
    return bool(answer["Attributes"].get("ConfirmationWasAuthenticated") == "true")


def _addresses(subscriptions: list[dict[str, Any]]) -> list[str]:
    return sorted({each["Endpoint"] for each in subscriptions})


def _subscriptions(client: Any, topic: str) -> Iterator[dict[str, Any]]:
    token: dict[str, str] = {}
    while True:
        page = client.list_subscriptions_by_topic(TopicArn=topic, **token)
        yield from page["Subscriptions"]
        if not page.get("NextToken"):
            return
        token = {"NextToken": page["NextToken"]}


def _quiet() -> logging.Logger:
    """What the client would log is the check's answer, and the log of a request is no place for a token."""
    logger = logging.getLogger("bedrock_remediator_cli.slack")
    logger.disabled = True
    return logger


def slack(ward: Ward) -> Check:
    """Whether Slack knows the bot, where it is set up."""
    channel, secret = (ward.stack.parameter(name, "") for name in ("SlackChannelId", "SlackTokenSecretArn"))
    if not channel or not secret:
        return ok("slack", "Slack is not set up.")
    token = ward.aws.client("secretsmanager").get_secret_value(SecretId=secret)["SecretString"].strip()
    client = WebClient(token=token, base_url=ward.slack_api, timeout=_SECONDS, logger=_quiet())
    try:
        answer = client.auth_test()
    except SlackApiError as error:
        word = error.response.get("error", "no reason")
        return broken(
            "slack",
            f"Slack refuses the bot's token: {word}.",
            "Install the app again and put the new token into the secret (docs/slack.md).",
        )
    except (SlackClientError, OSError) as error:
        return broken("slack", f"Slack cannot be reached from here: {error}", "Try again, or from another network.")
    return ok("slack", f"Slack knows the bot {answer.get('user')} in {answer.get('team')}; it posts in {channel}.")
