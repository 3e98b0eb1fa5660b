"""The same grid and states in pandapower, for an independent look at what breaks a limit: another model, another solver.

1. Optional (the extra ``import``): without it, Unavailable.
2. Numbers come from the network document, not from our engine; loadings of transformers are of apparent power.
3. A state that pandapower does not solve is a violation of the network as a whole.
4. Lines and transformers within the engine's tolerance of their limit can fall either side: compare with that in mind.
"""

from collections.abc import Sequence
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from backend.domain.constraint import PPT_PER_UNIT
from backend.errors import Unavailable
from backend.grid.congestion import NO_SOLUTION, Violation
from backend.grid.element import Line, Transformer
from backend.grid.flow import Scenarios
from backend.grid.network import Network

_TOLERANCE_MVA = 1e-9
_RECYCLED = {"bus_pq": True, "trafo": True, "gen": False}
_PPM = 1e6


def is_installed() -> bool:
    """Whether pandapower can be asked."""
    return find_spec("pandapower") is not None


class Pandapower:
    """pandapower's answers for one network of lines, transformers, links, sources, loads and generators."""

    def __init__(self, network: Network) -> None:
        try:
            self._pandapower = import_module("pandapower")
        except ImportError as error:
            raise Unavailable("pandapower", f"{error}; install the extra: pip install 'lightnode[import]'") from error
        self._network = network
        self._warm = False
        self._net = self._pandapower.create_empty_network(f_hz=network.frequency_hz)
        self._buses = {
            node.id: self._pandapower.create_bus(self._net, node.u_rated_v / 1e3, index=node.id)
            for node in network.nodes
        }
        self._branches()
        self._injections()

    @property
    def version(self) -> str:
        """What it is."""
        return f"pandapower {self._pandapower.__version__}"

    def violations(self, scenarios: Scenarios, frames: Sequence[int]) -> tuple[Violation, ...]:
        """Everything beyond its limit (no margin, no season), by quarter-hour and then in the network's order."""
        found: list[Violation] = []
        for row, frame in enumerate(frames):
            found += self._state(scenarios, row, frame)
        return tuple(found)

    def _branches(self) -> None:
        make, net, bus = self._pandapower, self._net, self._buses
        for line in self._network.lines:
            make.create_line_from_parameters(
                net, bus[line.from_node], bus[line.to_node], 1.0, line.r_uohm / 1e6, line.x_uohm / 1e6,
                line.c_pf / 1e3, line.rated_ma / 1e6, index=line.id,
            )  # fmt: skip
            for node, closed in ((line.from_node, line.from_closed), (line.to_node, line.to_closed)):
                if not closed:
                    make.create_switch(net, bus[node], line.id, et="l", closed=False)
        for link in self._network.links:
            make.create_switch(net, bus[link.from_node], bus[link.to_node], et="b", closed=link.closed)
        for unit in self._network.transformers:
            self._transformer(unit)

    def _transformer(self, unit: Transformer) -> None:
        side = "hv" if unit.tap_side == "from" else "lv"
        tapped_v = unit.u_from_v if side == "hv" else unit.u_to_v
        self._pandapower.create_transformer_from_parameters(
            self._net, self._buses[unit.from_node], self._buses[unit.to_node], unit.sn_va / 1e6, unit.u_from_v / 1e3,
            unit.u_to_v / 1e3, unit.pk_w / unit.sn_va * 100, unit.uk_ppm / 1e4, unit.p0_w / 1e3, unit.i0_ppm / 1e4,
            shift_degree=30.0 * unit.clock, tap_side=side, tap_neutral=unit.tap_nominal, tap_min=unit.tap_min,
            tap_max=unit.tap_max, tap_pos=unit.tap_position, tap_step_percent=unit.tap_size_mv / tapped_v / 10,
            tap_changer_type="Ratio", index=unit.id, in_service=unit.closed,
        )  # fmt: skip

    def _injections(self) -> None:
        make, net = self._pandapower, self._net
        for source in self._network.sources:
            make.create_ext_grid(net, self._buses[source.node], source.u_ref_ppm / _PPM)
        for load in self._network.loads:
            make.create_load(net, self._buses[load.node], 0.0, index=load.id)
        self._pods = [make.create_load(net, self._buses[c.node], 0.0) for c in self._network.connections]
        for generator in self._network.generators:
            make.create_sgen(net, self._buses[generator.node], 0.0, index=generator.id)

    def _state(self, scenarios: Scenarios, row: int, frame: int) -> list[Violation]:
        net, network = self._net, self._network
        net.load.loc[[e.id for e in network.loads], "p_mw"] = scenarios.load_w[row] / 1e6
        net.load.loc[[e.id for e in network.loads], "q_mvar"] = scenarios.load_var[row] / 1e6
        net.load.loc[self._pods, "p_mw"] = scenarios.delta_w[row] / 1e6
        net.sgen.loc[[e.id for e in network.generators], "p_mw"] = scenarios.generator_w[row] / 1e6
        net.trafo.loc[[e.id for e in network.transformers], "tap_pos"] = scenarios.tap[row]
        if not self._solved():
            return [Violation(frame, NO_SOLUTION, 0, 0, PPT_PER_UNIT)]
        return _beyond(net, network, frame)

    def _solved(self) -> bool:
        """Whether pandapower finds a state: from the last one, which is faster, else as it likes best."""
        for start in ({"recycle": _RECYCLED, "init": "results"},) * self._warm + ({"init": "auto"},):
            try:
                self._pandapower.runpp(
                    self._net, trafo_model="pi", trafo_loading="power", calculate_voltage_angles=True,
                    tolerance_mva=_TOLERANCE_MVA, numba=False, **start,
                )  # fmt: skip
            except self._pandapower.LoadflowNotConverged:
                self._warm = False
            else:
                self._warm = True
                return True
        return False


def _beyond(net: Any, network: Network, frame: int) -> list[Violation]:
    """In the order in which our own list has them."""
    loading: list[tuple[str, Line | Transformer, Any]] = [
        *(("line", line, net.res_line.loading_percent) for line in network.lines),
        *(("transformer", unit, net.res_trafo.loading_percent) for unit in network.transformers),
    ]
    found = []
    for kind, branch, table in loading:
        percent = float(table[branch.id])
        if percent > 100:
            found.append(_violation(frame, f"{kind}:{branch.id}", percent / 100, 1.0))
    for side in ("low", "high"):
        for node in network.nodes:
            value, limit = (
                float(net.res_bus.vm_pu[node.id]),
                (node.u_min_ppm if side == "low" else node.u_max_ppm) / _PPM,
            )
            if value < limit if side == "low" else value > limit:
                found.append(_violation(frame, f"node:{node.id}:{side}", value, limit))
    return found


def _violation(frame: int, element: str, value: float, limit: float) -> Violation:
    value_ppt, limit_ppt = round(value * PPT_PER_UNIT), round(limit * PPT_PER_UNIT)
    return Violation(frame, element, value_ppt, limit_ppt, abs(value_ppt - limit_ppt))
