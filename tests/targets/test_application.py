"""The whole application on a target that has a meter line and a flash, before it has a network."""

import json
from pathlib import Path

import pytest
from lightwire import ecdsa, envelope

from hil.meters.catalogue import meter_map
from hil.meters.meter import Meter, Terminals
from hil.meters.station import Station
from hil.targets.chip import Chip
from hil.targets.meter_line import on_a_terminal
from hil.targets.target import Job, Target

pytestmark = [pytest.mark.needs("uart", "flash", "asyncio", "watchdog"), pytest.mark.timeout(1200)]
DEPLOYMENT = bytes(range(16))
KEY = ecdsa.public_key(ecdsa.SECP256K1, 5).hex()
CONFIG = {
    "state_dir": "/",
    "deployment": DEPLOYMENT.hex(),
    "operator": bytes(8).hex(),
    "log_key": KEY,
    "issuers": [{"id": bytes(8).hex(), "role": 1, "key": KEY}],
    "broker": {"host": "broker", "port": 8883, "ca": "ca", "cert": "cert", "key": "/key"},
    "meter": {"port": "1", "unit": 7, "map": "sdm630", "ct_ratio": 20, "vt_ratio": 1},
    "limits": {"max_withdrawal_w": 100_000, "max_injection_w": 100_000},
    "journal": {"path": "journal", "bytes": 65_536},
    "conductor": None,
    "trace": False,
}

RUN = """
import asyncio, json, machine
from lightnode import app, board, enrolment, settings
from lightnode.journal import Journal

config = settings.load("config.json")
watchdog = machine.WDT(timeout=2000)

async def main():
    node = app.Node(config, board.load())
    running = asyncio.create_task(node.run())
    for _ in range(19):
        await asyncio.sleep_ms(500)
        watchdog.feed()
    print(json.dumps(node._facts()))
asyncio.run(main())
kept = Journal(board.load().open_flash("journal", 65536))
print(json.dumps([(r.boot, r.seq, getattr(r, 'power_w', None)) for r in kept.after(0)]))
print(json.dumps(enrolment.enrol(config, board.load(), bytes(16))))
"""


@pytest.fixture
def board(target: Target, tmp_path: Path) -> Target:
    """The chip with a flash that outlives it; other targets as they are."""
    return Chip(flash=tmp_path / "flash") if target.name == "chip" else target


def test_it_reads_signs_and_keeps_over_a_loss_of_power(board: Target) -> None:
    station = Station(Meter("P1", meter_map("sdm630"), ct_ratio=20), unit=7)
    station.offer(0, Terminals.spread(3, 6_000, 0, 230_000))
    devices, kept = [], []
    with on_a_terminal(station) as path:
        for boot in (1, 2):
            job = Job(RUN, {"config.json": json.dumps(CONFIG).encode()}, path)
            facts, found, enrolment = (json.loads(row) for row in board.run(job).splitlines())
            assert facts["boot"] == 2 * boot - 1 and facts["produced"] in (2, 3) and not facts["connected"]
            assert facts["missed"] == facts["meter_errors"] == facts["restarts"] == 0
            devices.append(facts["device"])
            kept.append(found)
    assert devices[0] == devices[1] == enrolment["device"]
    assert [row[:2] for row in kept[1][: len(kept[0])]] == [row[:2] for row in kept[0]]
    assert [row[2] for row in kept[1]].count(None) == 1  # the statement about the boot before
    assert {row[2] for row in kept[1]} == {6_000, None}
    public = bytes.fromhex(enrolment["public_key"])
    envelope.open_sealed(
        bytes.fromhex(enrolment["enrolment"]),
        DEPLOYMENT,
        lambda digest, signature: ecdsa.verify(ecdsa.SECP256K1, public, digest, signature),
    )
