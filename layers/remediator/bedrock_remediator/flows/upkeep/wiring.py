"""Upkeep's parts put together: the adapters of one environment, made when they are first needed."""

from datetime import timedelta
from typing import Literal, get_args

from bedrock_remediator.aws.bedrock import ProfileReader
from bedrock_remediator.aws.clients import Clients
from bedrock_remediator.aws.iam import IamReader
from bedrock_remediator.aws.iam_policies import ManagedPolicies
from bedrock_remediator.aws.ledger.write import UpkeepLedger
from bedrock_remediator.aws.messaging import Publisher, Subscriptions
from bedrock_remediator.aws.parameters import AllowlistReader
from bedrock_remediator.clock import Clock
from bedrock_remediator.core.accounts import READ_ROLE, Enrolment
from bedrock_remediator.flows.placement.choice import Placements
from bedrock_remediator.flows.placement.seals import Seals
from bedrock_remediator.flows.subjects import Subjects
from bedrock_remediator.flows.upkeep.chores.activity import ActivityReport
from bedrock_remediator.flows.upkeep.chores.comparison import Comparison
from bedrock_remediator.flows.upkeep.chores.deadlines import Expiry, Failures, Requests, Stuck
from bedrock_remediator.flows.upkeep.chores.digest import DailyDigest
from bedrock_remediator.flows.upkeep.chores.drift import Drift
from bedrock_remediator.flows.upkeep.chores.orphans import Orphans
from bedrock_remediator.flows.upkeep.chores.reconsideration import Reconsideration
from bedrock_remediator.flows.upkeep.chores.storms import Storms
from bedrock_remediator.flows.upkeep.chores.subscribers import Subscribers, Topic
from bedrock_remediator.flows.upkeep.upkeep import Upkeep
from bedrock_remediator.settings import Mode, UpkeepSettings

Task = Literal["upkeep", "digest"]
"""What a schedule asks for: a round of upkeep, or the day's digest."""


def upkeep(task: Task, settings: UpkeepSettings, home: str, clock: Clock) -> Upkeep:
    """The use case. `home` is the account that the function runs in.

    Raises:
        ValueError: There is no such task.
    """
    if task not in get_args(Task):
        raise ValueError(f"there is no task {task!r}")
    policy, lasting = settings.policy, timedelta(hours=settings.lapse_hours)
    clients = Clients(home, enrolled=policy.enrolled_accounts, role=READ_ROLE, clock=clock)
    ledger = UpkeepLedger(clients.dynamodb, policy.ledger_table, clock)
    enrolment = Enrolment(home, policy.enrolled_accounts)
    orphans = Orphans(ledger, lambda account: ManagedPolicies(clients.iam(account)), policy.ledger_table, enrolment)
    subscribers = Subscribers(Subscriptions(clients.sns), _topics(settings))
    if task == "digest":
        activity = ActivityReport(ledger, orphans.found, lasting, clock, subscribers.missing)
        return Upkeep([DailyDigest(ledger, Publisher(clients.sns), settings.notices_topic_arn, activity, clock)])
    iam = IamReader(clients.iam, clock)
    allowlists = AllowlistReader(lambda: clients.ssm, policy.allowlist_path, clock)
    placements = Placements(clients.iam, iam.own_policies, policy, Seals(None))
    profiles = ProfileReader(clients.bedrock, clock)
    comparison = Comparison(iam, profiles, placements, policy, clock)
    return Upkeep(
        [
            Expiry(ledger, clock),
            Stuck(ledger, clock),
            Reconsideration(ledger, allowlists, iam, Subjects(profiles, enrolment), policy, clock),
            Requests(ledger, clock, lasting),
            Failures(ledger, clock, granting=policy.mode is not Mode.OBSERVE and not policy.paused),
            Drift(ledger, comparison, clock, paused=policy.paused),
            orphans,
            subscribers,
            Storms(
                ledger=ledger,
                publisher=lambda: Publisher(clients.sns),
                topic_arn=settings.notices_topic_arn,
                activity=ActivityReport(ledger, lambda _: [], lasting, clock),
                singly=settings.notices_an_hour,
                clock=clock,
            ),
        ]
    )


def _topics(settings: UpkeepSettings) -> list[Topic]:
    """The topics that somebody should hear."""
    found = [
        Topic(settings.approvals_topic_arn, "approvals", settings.approvals_email),
        Topic(settings.notices_topic_arn, "notices", settings.notices_email),
    ]
    return [*found, Topic(settings.amazon_q_topic_arn, "Amazon Q")] if settings.amazon_q_topic_arn else found
