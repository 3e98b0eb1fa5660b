"""The rig's fixtures give real parts; a lab file's boards are targets, and who has one keeps others out."""

import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from pymodbus.client import ModbusSerialClient

from backend.adapters.ethereum import EmbeddedChain
from hil.bench import Bench
from hil.broker import Broker
from hil.lease import lease, leases_folder
from hil.meters.meter import Terminals
from hil.meters.station import Station
from hil.nodes import VirtualNode

ROOT = Path(__file__).parents[2]


def test_a_broker_listens_on_loopback(broker: Broker) -> None:
    with socket.create_connection((broker.host, broker.port), timeout=2):
        assert broker.host == "127.0.0.1" and broker.alive


def test_a_chain_has_the_contract(chain: EmbeddedChain) -> None:
    assert chain.ledger.words(1, 2, chain.ledger.head()) == [bytes(32)] * 2


def test_a_meter_answers_on_its_terminal(meter: Callable[..., tuple[Station, str]]) -> None:
    station, path = meter("sdm630", unit=7)
    station.offer(0, Terminals.spread(3, 6_000, 0, 230_000))
    client = ModbusSerialClient(path, timeout=2)
    assert client.connect()
    assert client.read_input_registers(0x34, count=2, device_id=7).registers == [0x45BB, 0x8000]  # 6000.0
    client.close()


def test_a_node_reads_and_is_stored(node: tuple[Bench, VirtualNode]) -> None:
    bench, light_node = node
    for _ in range(3):
        bench.tick()
    bench.drain()
    assert bench.backend.store.count_readings(light_node.device) >= 3


LAB = """
[boards.red]
port = "{port}"
kind = "esp32-s3"
"""


def run_on_the_lab(folder: Path) -> str:
    (folder / "lab.toml").write_text(LAB.format(port=folder / "tty"))
    command = [
        sys.executable, "-m", "pytest", "tests/targets/test_targets.py", "--target", "board", "--lab", str(folder / "lab.toml"),
        "-p", "no:cacheprovider", "-p", "no:xdist", "-rsf",
    ]  # fmt: skip
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    return done.stdout


def test_a_board_of_the_lab_that_is_not_there_is_a_skip_with_its_reason(tmp_path: Path) -> None:
    said = run_on_the_lab(tmp_path)
    assert "skipped" in said and str(tmp_path / "tty") in said


def test_a_board_that_another_run_has_is_not_touched(tmp_path: Path) -> None:
    with lease(str(tmp_path / "tty"), leases_folder()):
        assert f"{tmp_path / 'tty'} is in use by process" in run_on_the_lab(tmp_path)
