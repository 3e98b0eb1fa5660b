"""pandapower on the same grid and states, one power flow after the other, where it can be had; run as a program it answers.

It is imported nowhere else and installed with nothing: the bench asks this interpreter or the one that
LIGHTNODE_PEER_PYTHON names, by a program on its standard input and output.
"""

import importlib.util
import json
import os
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from backend.grid.flow import Scenarios
    from backend.grid.network import Network

VARIABLE = "LIGHTNODE_PEER_PYTHON"
_TIMEOUT_S = 300


def interpreter() -> str | None:
    """The interpreter that has pandapower, None if none is known."""
    if importlib.util.find_spec("pandapower") is not None:
        return sys.executable
    return os.environ.get(VARIABLE)


def versions() -> dict[str, str]:
    """Which pandapower answered, or that none is there."""
    found = interpreter()
    if found is None:
        return {"pandapower": f"not installed ({VARIABLE} may name an interpreter that has it)"}
    said = subprocess.run([found, __file__, "version"], capture_output=True, text=True, check=False, timeout=_TIMEOUT_S)
    return {"pandapower": said.stdout.strip() or "does not start"}


def power_flow_us(network: "Network", scenarios: "Scenarios") -> float | None:
    """Microseconds of processor time of one of pandapower's power flows; None if it cannot be had."""
    found = interpreter()
    if found is None:
        return None
    question = {
        "nodes": [[n.id, n.u_rated_v] for n in network.nodes],
        "lines": [
            [e.from_node, e.to_node, e.r_uohm, e.x_uohm, e.c_pf, e.rated_ma]
            for e in network.lines
            if e.from_closed and e.to_closed
        ],
        "links": [[k.from_node, k.to_node] for k in network.links if k.closed],
        "transformers": [
            [
                t.from_node,
                t.to_node,
                t.u_from_v,
                t.u_to_v,
                t.sn_va,
                t.uk_ppm,
                t.pk_w,
                t.i0_ppm,
                t.p0_w,
                t.clock,
                t.tap_size_mv,
            ]
            for t in network.transformers
        ],
        "sources": [[s.node, s.u_ref_ppm] for s in network.sources],
        "loads": [e.node for e in network.loads],
        "generators": [e.node for e in network.generators],
        "load_w": scenarios.load_w.tolist(),
        "load_var": scenarios.load_var.tolist(),
        "generator_w": scenarios.generator_w.tolist(),
        "tap": scenarios.tap.tolist(),
    }
    said = subprocess.run(
        [found, __file__], input=json.dumps(question), capture_output=True, text=True, check=False, timeout=_TIMEOUT_S
    )
    return float(json.loads(said.stdout)["us"]) if said.returncode == 0 else None


def _net(pandapower: Any, q: dict[str, Any]) -> Any:
    net = pandapower.create_empty_network()
    bus = {node: pandapower.create_bus(net, volt / 1e3) for node, volt in q["nodes"]}
    for a, b, r, x, c, rated in q["lines"]:
        pandapower.create_line_from_parameters(net, bus[a], bus[b], 1.0, r / 1e6, x / 1e6, c / 1e3, rated / 1e6)
    for a, b in q["links"]:
        pandapower.create_switch(net, bus[a], bus[b], et="b")
    for a, b, high, low, sn, uk, pk, i0, p0, clock, tap_mv in q["transformers"]:
        pandapower.create_transformer_from_parameters(
            net, bus[a], bus[b], sn / 1e6, high / 1e3, low / 1e3, pk / sn * 100, uk / 1e4, p0 / 1e3, i0 / 1e4, clock * 30,
            tap_side="hv", tap_neutral=0, tap_pos=0, tap_min=-20, tap_max=20, tap_step_percent=tap_mv / 10 / high,
            tap_changer_type="Ratio",
        )  # fmt: skip
    for node, volt in q["sources"]:
        pandapower.create_ext_grid(net, bus[node], volt / 1e6)
    for node in q["loads"]:
        pandapower.create_load(net, bus[node], 0.0)
    for node in q["generators"]:
        pandapower.create_sgen(net, bus[node], 0.0)
    return net


def _answer() -> None:
    import pandapower  # type: ignore[import-not-found,unused-ignore]

    if sys.argv[1:] == ["version"]:
        print(pandapower.__version__)
        return
    question = json.loads(sys.stdin.read())
    net = _net(pandapower, question)
    spent = 0.0
    for row in range(len(question["load_w"])):
        net.load["p_mw"] = [w / 1e6 for w in question["load_w"][row]]
        net.load["q_mvar"] = [w / 1e6 for w in question["load_var"][row]]
        net.sgen["p_mw"] = [w / 1e6 for w in question["generator_w"][row]]
        net.trafo["tap_pos"] = question["tap"][row]
        start = time.process_time()
        pandapower.runpp(net, numba=importlib.util.find_spec("numba") is not None, calculate_voltage_angles=False)
        if row:
            spent += time.process_time() - start
    rows = max(1, len(question["load_w"]) - 1)
    print(json.dumps({"us": spent * 1e6 / rows}))


if __name__ == "__main__":
    _answer()
