"""The small grid as fixtures."""

import pytest

from backend.adapters.power_grid import PowerGridFlow
from tests.backend.grid import three_nodes as small


@pytest.fixture(scope="session")
def three_nodes():
    return small.network()


@pytest.fixture(scope="session")
def flow(three_nodes):
    return PowerGridFlow(three_nodes)


@pytest.fixture(scope="session")
def states():
    return small.states
