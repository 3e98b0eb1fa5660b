"""The site as a process: ticks in, registers out, wrong configurations in one line."""

import json
import struct
import sys
from pathlib import Path
from typing import Any

import pytest
from pymodbus.client import ModbusSerialClient, ModbusTcpClient

from hil.conductor import Conductor
from hil.meters.catalogue import models
from hil.meters.rtu import RtuFraming
from hil.meters.truth import read_truth
from hil.process import Child, stopping
from hil.profile import FRAME_MS, SLOT_MS
from hil.site import Site
from hil.site_config import SiteError, load
from hil.sunspec import layout

FRAME = 1_996_000
START_MS = FRAME * FRAME_MS


def customer(pod: str = "P1", **changed: Any) -> dict[str, Any]:
    der = {"kind": "battery", "lowest_w": -40_000, "highest_w": 40_000, "capacity_ws": 360_000_000}
    return {"pod": pod, "first_frame": FRAME, "load_w": [50_000, 60_000], "phase_mv": 231_000, "der": der} | changed


def config(folder: Path, *customers: dict[str, Any], **changed: Any) -> Path:
    path = folder / "site.json"
    path.write_text(json.dumps({"seed": "s", "customers": customers or [customer()]} | changed))
    return path


def power_w(port: str) -> float:
    master = ModbusSerialClient(port, timeout=2)
    assert master.connect()
    words = master.read_input_registers(0x34, count=2, device_id=1).registers
    master.close()
    return float(struct.unpack(">f", struct.pack(">HH", *words))[0])


def test_a_command_at_the_der_moves_the_meter_of_its_customer_only(tmp_path: Path) -> None:
    conductor = Conductor(START_MS)
    tty = tmp_path / "meter-P1"
    path = config(
        tmp_path,
        customer("P1", tty=str(tty)),
        customer("P2", load_w=[9_000]),
        conductor=conductor.address,
        truth=str(tmp_path / "truth.jsonl"),
    )
    with stopping([Child("site", [sys.executable, "-m", "hil.site", str(path)], tmp_path / "log")]) as (site,):
        ready: Any = (site.line(20) or {})["ready"]
        assert not conductor.wait_for(["site"], 10)
        before: Any = conductor.tick().facts["site"]["meters"]
        client = ModbusTcpClient("127.0.0.1", port=ready["P1"]["ems"])
        assert client.connect()
        assert not client.write_registers(layout().points[704, "WSetEna"].address, [1, 1, 0, 20_000]).isError()
        after: Any = conductor.tick().facts["site"]["meters"]
        assert power_w(str(tty)) == power_w(ready["P1"]["meter"]) == after["P1"]
        assert power_w(ready["P2"]["meter"]) == after["P2"]
        client.close()
        conductor.close()
        assert site.wait(10) == 0
    assert after["P1"] - before["P1"] == pytest.approx(-20_000, abs=3_500)
    assert after["P2"] == pytest.approx(9_000, abs=700)
    assert not tty.is_symlink()
    rows = [(r.pod, r.utc_ms, r.power_w) for r in read_truth(tmp_path / "truth.jsonl")]
    assert rows == [(p, START_MS + k * SLOT_MS, m[p]) for k, m in enumerate((before, after)) for p in ("P1", "P2")]


def test_the_mean_of_a_quarter_hour_is_the_configured_one_exactly(tmp_path: Path) -> None:
    site = Site(load(config(tmp_path)))
    powers = [site.step(START_MS + k * SLOT_MS)["P1"] for k in range(450)]
    assert (sum(powers[:225]), sum(powers[225:])) == (225 * 50_000, 225 * 60_000)


def test_the_same_ticks_give_the_same_site(tmp_path: Path) -> None:
    path = config(tmp_path)
    first, second = (Site(load(path)) for _ in range(2))
    assert [first.step(START_MS + k * SLOT_MS) for k in range(50)] == [
        second.step(START_MS + k * SLOT_MS) for k in range(50)
    ]


def test_beyond_its_lists_the_nearest_quarter_hour_holds(tmp_path: Path) -> None:
    site = Site(load(config(tmp_path)))
    assert site.step(START_MS - FRAME_MS)["P1"] == pytest.approx(50_000, rel=0.07)
    assert site.step(START_MS + 9 * FRAME_MS)["P1"] == pytest.approx(60_000, rel=0.07)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"unit": 0}, "customers[0].unit is 0, a whole number from 1 to 247 belongs here"),
        ({"colour": 1}, "customers[0].colour is not a setting"),
        ({"load_w": []}, "customers[0].load_w is [], a list of some whole numbers from -2147483647 to 2147483647"),
        ({"phase_mv": [1]}, "customers[0].phase_mv is [1], a list of 2 whole numbers"),
        ({"der": {"kind": "boiler"}}, 'customers[0].der.kind is "boiler", one of battery, charging, heat_pump, pv'),
        (
            {"der": {"lowest_w": 0, "highest_w": 1, "delivers_ppm": -1}},
            "customers[0].der.delivers_ppm is -1, a whole number",
        ),
        ({"der": 5}, "customers[0].der is not an object"),
        ({"spans_ms": {"ems_down": [[5, 5]]}}, "customers[0].spans_ms.ems_down is [[5, 5]], a list of [from, to]"),
        ({"meter": "sdm631x"}, f'customers[0].meter is "sdm631x", one of {", ".join(models())}'),
        ({"faults": {"wobble": []}}, "customers[0].faults.'wobble' is not a fault; these are: silent"),
        ({"faults": {"late": [[5, 5]]}}, "customers[0].faults.late is [[5, 5]], a list of [from, to] in UTC ms"),
        ({"pod": None}, "customers[0].pod is null, a text belongs here"),
    ],
)
def test_a_wrong_value_is_named_with_file_key_and_limit(tmp_path: Path, changed: dict[str, Any], message: str) -> None:
    path = config(tmp_path, customer(**changed))
    with pytest.raises(SiteError) as error:
        load(path)
    assert str(error.value).startswith(f"{path}: {message}")


def test_spans_disturb_the_meter_and_the_energy_manager(tmp_path: Path) -> None:
    span = [[START_MS + SLOT_MS, START_MS + 2 * SLOT_MS]]
    site = Site(load(config(tmp_path, customer(spans_ms={"ems_down": span, "emergency_stop": span}))))
    seen = []
    for k in range(3):
        site.step(START_MS + k * SLOT_MS)
        der = site.places[0].der
        seen.append((der.block.refuses, der.emergency_stop))
    assert seen == [(False, False), (True, True), (False, False)]


def test_a_customer_names_its_meter_and_the_meters_faults(tmp_path: Path) -> None:
    span = [[START_MS + SLOT_MS, START_MS + 2 * SLOT_MS]]
    path = config(tmp_path, customer(meter="sdm120", faults={"silent": span, "slow:20": []}))
    station = Site(load(path)).places[0].station
    assert station.meter.model.name == "sdm120"
    site, answers = Site(load(path)), []
    for k in range(3):
        power_w = site.step(START_MS + k * SLOT_MS)["P1"]
        sent = site.places[0].station.answer(1, bytes.fromhex("04000c0002"), RtuFraming())
        answers.append([s.delay_ms for s in sent])
        for s in sent:
            assert struct.unpack(">f", s.data[3:7])[0] == power_w
    assert answers == [[20], [], [20]]


def test_wrong_usage_and_a_wrong_file_have_their_exit_codes(tmp_path: Path) -> None:
    for words, code in (
        ([], 2),
        ([str(tmp_path / "none.json")], 1),
        ([str(config(tmp_path, conductor="127.0.0.1:1"))], 3),
    ):
        with stopping([Child("site", [sys.executable, "-m", "hil.site", *words], tmp_path / "log")]) as (site,):
            assert site.wait(20) == code, site.last_words()
