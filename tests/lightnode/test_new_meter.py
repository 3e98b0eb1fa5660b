"""A new meter is one data file and its test: a ninth model is dropped in place, and the firmware reads it in the VM."""

import json
import shutil
import subprocess
from pathlib import Path

from hil.meters.catalogue import meter_map, models
from hil.meters.meter import Meter, Terminals
from hil.meters.station import Station
from hil.runtime import micropython_command
from hil.targets.meter_line import on_a_terminal
from tests.conftest import ROOT
from tests.lightnode.test_settings import good

MAP = '''"""Acme 9, three phases, withdrawal negative.

Source: made up for this test.
"""

PHASES = 3
FUNCTION = 3
LOW_FIRST = True
SIGN = -1
SERIAL = (38400, "N", 1)
STEP = 1
ENERGY_STEP_WH = 10
REQUESTS = ((100, 18, 0, 32),)
ABSENT = {"int32": bytes((0x80, 0, 0, 0)), "uint16": bytes((255, 255))}
QUANTITIES = {
    "voltage_l1": (100, "uint16", -1),
    "voltage_l2": (101, "uint16", -1),
    "voltage_l3": (102, "uint16", -1),
    "frequency": (103, "uint16", -2),
    "power": (104, "int32", 0),
    "reactive": (106, "int32", 0),
    "import": (108, "int64", 1),
    "export": (112, "int64", 1),
}
'''
RIG = {
    "title": "Acme 9", "source": "made up", "unverified": [], "phases": 3, "functions": "holding",
    "word_order": "low register first", "request_max": 60, "pairs_only": False, "areas": [[100, 60]],
    "serial": {"baud": 38400, "parity": "N", "stop_bits": 1},
    "not_available": {"int32": "80000000", "uint16": "ffff", "int64": "8000000000000000"},
    "quantities": [
        {"name": "voltage_l1", "address": 100, "form": "uint16", "unit": "V", "resolution": 0.1},
        {"name": "voltage_l2", "address": 101, "form": "uint16", "unit": "V", "resolution": 0.1},
        {"name": "voltage_l3", "address": 102, "form": "uint16", "unit": "V", "resolution": 0.1},
        {"name": "frequency", "address": 103, "form": "uint16", "unit": "Hz", "resolution": 0.01},
        {"name": "power_total", "address": 104, "form": "int32", "unit": "W", "resolution": 1, "sign": -1},
        {"name": "reactive_total", "address": 106, "form": "int32", "unit": "var", "resolution": 1, "sign": -1},
        {"name": "import", "address": 108, "form": "int64", "unit": "Wh", "resolution": 10},
        {"name": "export", "address": 112, "form": "int64", "unit": "Wh", "resolution": 10},
    ],
}  # fmt: skip
SCRIPT = """
import asyncio
from lightnode import board, meter, meter_line, meters, settings

async def main():
    value = settings.load("config.json").value
    master = meter_line.open_master(board.load(), value)
    layout = meters.layout(value("meter.map"))
    q = await meter.Meter(master, layout, value("meter.unit"), value("meter.ct_ratio"), value("meter.vt_ratio")).read()
    print(q.power_w, q.reactive_var, q.import_wh, q.export_wh, q.voltage_mv, q.frequency_mhz, q.energy_step_wh)
asyncio.run(main())
try:
    meters.layout("acme8")
except Exception as error:
    print(error)
"""


def test_a_ninth_model_is_read_after_one_file_was_added(tmp_path: Path) -> None:
    firmware = tmp_path / "firmware"
    shutil.copytree(ROOT / "firmware", firmware, ignore=shutil.ignore_patterns("__pycache__"))
    (firmware / "lightnode" / "meters" / "acme9.py").write_text(MAP)
    (tmp_path / "acme9.json").write_text(json.dumps(RIG))
    station = Station(Meter("P1", meter_map("acme9", folder=tmp_path), ct_ratio=3, import_ws=3600 * 40_000), unit=9)
    station.offer(0, Terminals.spread(3, 12_000, -3_000, 230_000))
    with on_a_terminal(station) as path:
        document = good()
        document["meter"] = {"port": path, "unit": 9, "map": "acme9", "ct_ratio": 3, "vt_ratio": 1}
        (tmp_path / "config.json").write_text(json.dumps(document))
        done = subprocess.run(
            [*micropython_command(), "-c", SCRIPT],
            env={"MICROPYPATH": f".frozen:{firmware}"}, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
    first, second = (done.stdout or done.stderr).splitlines()
    assert first == "12000 -3000 39990 0 (230000, 230000, 230000) 50000 30"
    assert second == "known maps are " + ", ".join(sorted(["acme9", *models()]))
