"""A principal that goes away while something is done for it, and its successor of the same name."""

from typing import Any

from tests.builders.endings import OUR_PATH
from tests.builders.small_world import APP
from tests.builders.stories import Stage


def delete(stage: Stage) -> None:
    """Somebody deletes the role, as AWS wants it done: its policies are detached first, and stay behind."""
    backend, role = _role(stage)
    for policy in list(role.managed_policies.values()):
        policy.detach_from(role)
    del backend.roles[role.id]


def recreate(stage: Stage) -> None:
    """Somebody deletes the role, and makes another one of that name, with the policy of its own that it had."""
    backend, role = _role(stage)
    own = [policy for arn, policy in role.managed_policies.items() if OUR_PATH not in arn]
    delete(stage)
    successor = backend.create_role(
        role_name=role.name,
        assume_role_policy_document=role.assume_role_policy_document,
        path=role.path,
        permissions_boundary=None,
        description="",
        tags=[],
        max_session_duration="3600",
    )
    assert successor.id != role.id
    for policy in own:
        policy.attach_to(successor)


def _role(stage: Stage) -> tuple[Any, Any]:
    directory = stage.sandbox.accounts.directory(APP)
    return directory.backend, directory.entity(APP)
