"""Which strategy a grant is under."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from bedrock_remediator.aws.iam_policies import InlinePolicies, ManagedPolicies
from bedrock_remediator.core.arn import Principal
from bedrock_remediator.core.grant import Grant
from bedrock_remediator.core.iam.evaluation import Policy
from bedrock_remediator.flows.placement.compiled import CompiledPlacement
from bedrock_remediator.flows.placement.contract import Placement, PlacementError
from bedrock_remediator.flows.placement.in_place import InPlacePlacement
from bedrock_remediator.flows.placement.inline import InlineStore
from bedrock_remediator.flows.placement.managed import ManagedStore
from bedrock_remediator.flows.placement.seals import Seals
from bedrock_remediator.settings import PolicySettings, Strategy

if TYPE_CHECKING:
    from mypy_boto3_iam import IAMClient


class Placements:
    """The strategies, in any account.

    A grant stays under the strategy that it was written with, so that it is taken away where it is; the stack's
    parameter decides for those that were not written yet.
    """

    def __init__(
        self,
        client_for: "Callable[[str], IAMClient]",
        own_policies: Callable[[Principal], Sequence[Policy] | None],
        settings: PolicySettings,
        seals: Seals,
    ) -> None:
        self._client_for = client_for
        self._own_policies = own_policies
        self._settings = settings
        self._seals = seals

    def strategy(self, grant: Grant) -> str:
        """The name of the strategy that a grant is, or is to be, written with."""
        return grant.written.strategy if grant.written else self._settings.strategy.value

    def placement(self, grant: Grant) -> Placement:
        """What writes and removes a grant.

        Raises:
            NotEnrolledError: The service has no way into its account.
            PlacementError: The row names a strategy that there is not.
        """
        client, extra_actions = self._client_for(grant.account), self._settings.extra_actions
        match self.strategy(grant):
            case Strategy.MANAGED:
                managed = ManagedStore(ManagedPolicies(client), extra_actions, self._settings.ledger_table)
                return CompiledPlacement(managed, extra_actions)
            case Strategy.INLINE:
                return CompiledPlacement(InlineStore(InlinePolicies(client), extra_actions), extra_actions)
            case Strategy.IN_PLACE:
                return InPlacePlacement(
                    self._own_policies, ManagedPolicies(client), InlinePolicies(client), extra_actions, self._seals
                )
            case unknown:
                raise PlacementError("row_inconsistent", f"The ledger's row names an unknown strategy, {unknown!r}.")
