"""The stack of template.yaml, as a deployment would make it."""

from collections.abc import Callable
from pathlib import Path

import pytest

from sandbox.template import Stack, load

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def root() -> Path:
    """The project's folder."""
    return ROOT


@pytest.fixture(scope="session")
def deploy() -> Callable[..., Stack]:
    """Gives the stack for parameters; the others are at their defaults."""

    def deploy(**parameters: str) -> Stack:
        return load(ROOT / "template.yaml", parameters=parameters, account="111122223333", region="us-east-1")

    return deploy


@pytest.fixture(scope="session")
def stack(deploy: Callable[..., Stack]) -> Stack:
    """The stack with every parameter at its default. It is shared: read it, never change it."""
    return deploy()
