"""SimBench's published grids by code, through the optional packages simbench and pandapower.

1. The code is checked against SimBench's own list before anything is made.
2. The power flow that settles voltage-controlled generators honours taps: ``tap_changer_type`` is set where pandapower
   would pass over a tap in silence.
"""

import warnings
from importlib import import_module

from backend.errors import Rejected, Unavailable


def simbench_text(code: str) -> str:
    """The grid of a code as pandapower file with results. Rejected for another code, Unavailable without the packages."""
    try:
        simbench, pandapower = import_module("simbench"), import_module("pandapower")
    except ImportError as error:
        raise Unavailable("simbench", f"{error}; install the extra: pip install 'lightnode[import]'") from error
    codes = simbench.collect_all_simbench_codes()
    if code not in codes:
        raise Rejected(f"{code}: neither a file nor one of SimBench's {len(codes)} codes, such as {sorted(codes)[-1]}")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        net = simbench.get_simbench_net(code)
        for kind in ("trafo", "trafo3w"):
            table = net[kind]
            if len(table) and "tap_changer_type" in table:
                silent = table.tap_changer_type.isna() & table.tap_pos.notna() & table.tap_step_percent.notna()
                table.loc[silent, "tap_changer_type"] = "Ratio"
        pandapower.runpp(net, calculate_voltage_angles=True, tolerance_mva=1e-9, max_iteration=50, numba=False)
        return str(pandapower.to_json(net))
