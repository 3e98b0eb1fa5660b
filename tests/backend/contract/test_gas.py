"""Gas, recorded per function in backend/README.md, measured again on a real node; and the bounds of the design."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from hil.anvil import Anvil
from hil.gas import CATCH_UP, READINGS, GasMeter, epoch_root, functions

README = Path(__file__).parents[3] / "backend" / "README.md"


@pytest.fixture
def meter(anvil: Callable[..., Anvil]) -> GasMeter:
    return GasMeter(anvil())


def test_gas_is_what_the_readme_says_and_within_its_bounds(meter: GasMeter) -> None:
    recorded = {
        name: int(gas.replace(",", ""))
        for name, gas in re.findall(r"^\| ([A-Za-z_.0-9 ]+) \| ([\d,]+) \|$", README.read_text(), re.MULTILINE)
    }
    found = functions(meter)
    assert recorded == found
    assert found["commit"] <= 55_000 and found[f"commit_many of {CATCH_UP}"] / CATCH_UP <= 30_000


def test_a_commitment_costs_the_same_for_one_device_and_for_ten_thousand(meter: GasMeter) -> None:
    meter.change("grant", b"L" * 32, "0x" + meter.address.hex(), True)
    functions(meter)
    meter.change("set_paused", False)
    one, many = meter.commit(epoch_root(1)), meter.commit(epoch_root(10_000))
    assert abs(one - many) <= 32 * 12, "a root with more zero bytes is cheaper, nothing else"
    assert meter.naive(3) / 3 > 90 * one / READINGS
