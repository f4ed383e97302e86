"""Several invocations at once."""

import pytest

from sandbox.interleaving import Interleaving


def steps(seed: int) -> list[str]:
    """The order in which three calls of three steps each come to work."""
    turns = Interleaving(seed)
    order: list[str] = []

    def call(name: str) -> str:
        for _ in range(3):
            order.append(name)
            turns.pause()
        return name.upper()

    ended = turns.run([lambda name=name: call(name) for name in "abc"])  # type: ignore[misc]  # bound at once
    assert [end.result for end in ended] == ["A", "B", "C"]
    return order


def test_the_seed_decides_the_order() -> None:
    """The same seed gives the same order, and seeds differ."""
    assert steps(1) == steps(1)
    assert len({tuple(steps(seed)) for seed in range(5)}) > 1


def test_calls_are_mixed() -> None:
    """The calls take turns; they do not run one after the other."""
    assert any(steps(seed) != sorted(steps(seed)) for seed in range(5))


def test_an_error_is_the_calls_own() -> None:
    """A call that raises ends with its error, and the others go on."""

    def broken() -> str:
        raise ValueError("broken")

    ended = Interleaving(0).run([broken, lambda: "fine"])
    assert isinstance(ended[0].error, ValueError)
    assert ended[1].result == "fine"


def test_a_pause_elsewhere_does_nothing() -> None:
    """A thread that is none of the calls' does not wait for a turn."""
    Interleaving(0).pause()
    with pytest.raises(AttributeError):
        _ = Interleaving(0)._local.index
