"""What a grid loses: what sources and generators feed in, less what loads, storages and PODs take."""

import numpy as np

from backend.grid.flow import Integers, Scenarios, States
from backend.grid.network import Network


def loss_w(network: Network, scenarios: Scenarios, states: States) -> Integers:
    """Losses (W) of each solved state, 0 where there is no solution. Banks' own W count as losses."""
    fed = states.source_w.sum(axis=1) + scenarios.generator_w.sum(axis=1)
    standing = sum(s.p_nominal_w for s in network.storages)
    stored = standing if scenarios.storage_w is None else scenarios.storage_w.sum(axis=1)
    taken = scenarios.load_w.sum(axis=1) + scenarios.delta_w.sum(axis=1) + stored
    return np.where(states.solved, fed - taken, 0)
