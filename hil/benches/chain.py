"""The chain: gas of a commitment and of a reading, beside one transaction per reading, on a real node.

A quarter-hour of a device is 225 readings. The naive way is hil.gas's: the cheapest transaction there can be.
"""

import tempfile
from pathlib import Path

from hil.anvil import VERSION, Anvil
from hil.benches.figure import Figure
from hil.gas import CATCH_UP, DEVICES, READINGS, GasMeter, epoch_root, functions

WHAT = "the chain: gas per operator and epoch, per reading beside the naive way"
_MOST_SINGLE, _MOST_IN_CATCH_UP = 55_000, 30_000
_PEER = "a transaction per reading"
_SAMPLE = 25


def measure() -> dict[str, Figure]:
    """Every figure of the area, in one run."""
    with tempfile.TemporaryDirectory(prefix="lightnode-") as folder, Anvil(Path(folder)) as anvil:
        meter = GasMeter(anvil)
        gas = functions(meter)
        many = gas.pop(f"commit_many of {CATCH_UP}")
        meter.change("set_paused", False)
        figures = {
            "epoch.single": Figure(gas["commit"], "gas", target=_MOST_SINGLE),
            f"epoch.in_catch_up_of_{CATCH_UP}": Figure(round(many / CATCH_UP), "gas", target=_MOST_IN_CATCH_UP),
        }
        naive = meter.naive(_SAMPLE) / _SAMPLE
        for devices in DEVICES:
            spent = meter.commit(epoch_root(devices))
            figures[f"epoch.devices_{devices}"] = Figure(spent, "gas", target=_MOST_SINGLE)
            figures[f"reading.devices_{devices}"] = Figure(
                float(f"{spent / (READINGS * devices):.4g}"), "gas", _PEER, naive
            )
    own = gas["DeviceAnchor.anchor"] / READINGS
    figures["reading.anchored_by_its_device"] = Figure(round(own, 1), "gas", _PEER, naive)
    return figures | {f"function.{name}": Figure(spent, "gas") for name, spent in gas.items()}


def versions() -> dict[str, str]:
    """What it was measured with."""
    return {"anvil": VERSION}
