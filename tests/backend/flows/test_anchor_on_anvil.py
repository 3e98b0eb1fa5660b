"""Anchoring on a real node: a thousand epochs through every fault of a chain, and each of the faults alone."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from hil.anvil import Anvil
from hil.faults.chain import BadDays

MakeAnvil = Callable[..., Anvil]


def lived(anvil: MakeAnvil, folder: Path, seed: int, epochs: int) -> BadDays:
    node = anvil("--order", "fees")
    days = BadDays(node, folder, seed, epochs)
    try:
        days.run()
    except AssertionError as error:
        raise AssertionError(f"seed {seed}: {error}") from error
    assert sorted(days.on_chain()) == sorted((e, root, count) for e, (root, count) in days.wanted.items()), (
        f"seed {seed}"
    )
    print(f"seed {seed}: {epochs} epochs, {dict(days.counts)}")
    return days


def test_every_epoch_is_on_chain_once_through_every_fault_of_a_chain(anvil: MakeAnvil, tmp_path: Path) -> None:
    counts = lived(anvil, tmp_path, seed=1, epochs=25).counts
    assert counts["crashes"] and counts["reorganisations"] and counts["requests lost"] and counts["answers lost"]


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.parametrize(("seed", "epochs"), [(100, 1000), *[(seed, 100) for seed in range(101, 105)]])
def test_a_thousand_epochs_through_every_fault_of_a_chain(
    anvil: MakeAnvil, tmp_path: Path, seed: int, epochs: int
) -> None:
    counts: Counter[str] = lived(anvil, tmp_path, seed, epochs).counts
    happened = (
        "crashes",
        "requests lost",
        "answers lost",
        "reorganisations",
        "fee spikes",
        "nonces stolen",
        "mempools dropped",
    )
    assert all(counts[what] for what in happened)
