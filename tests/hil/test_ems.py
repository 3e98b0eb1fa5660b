"""The rig's energy manager obeys what the map says; the command that runs it ends as documented."""

import socket
import subprocess
import sys

import pytest

from hil.ems import APPLIED, EXPIRED, FAILED, NOTHING, Block, EnergyManager, decoded, encoded, tables
from tests.conftest import ROOT

OFFER: Block = {"state": 2, "command": 7, "target_w": -500, "max_withdrawal_w": 50_000, "max_injection_w": 40_000}


def manager(**said: int | None) -> EnergyManager:
    made = EnergyManager(None, free_w=9_000)  # type: ignore[arg-type]
    made.said = dict(said)
    return made


@pytest.mark.parametrize(
    ("changed", "state", "power_w"),
    [
        ({}, APPLIED, -500),
        ({"target_w": None, "max_withdrawal_w": 4_000}, APPLIED, 4_000),
        ({"target_w": None}, APPLIED, 9_000),
        ({"state": 3}, EXPIRED, -500),
        ({"state": 3, "target_w": None, "max_withdrawal_w": None, "max_injection_w": None}, EXPIRED, 9_000),
        ({"state": 0, "target_w": None}, NOTHING, 9_000),
        ({"state": 1, "target_w": None}, NOTHING, 9_000),
        ({"state": 5, "target_w": None}, FAILED, 9_000),
        ({"state": 6, "target_w": None}, FAILED, 9_000),
    ],
)
def test_it_obeys_what_the_state_says(changed: Block, state: int, power_w: int) -> None:
    said = manager().answer({**OFFER, **changed})
    assert (said["state"], said["measured_w"]) == (state, power_w)


def test_without_time_it_leaves_standing_what_it_said() -> None:
    said = manager(state=APPLIED, reason=0, command=7).answer({**OFFER, "state": 4})
    assert (said["state"], said["command"]) == (APPLIED, 7)


def test_a_block_survives_its_registers() -> None:
    _, own = tables()
    values: dict[str, int | None] = {r.name: None if r.form == "i32" else k for k, r in enumerate(own)}
    assert decoded(own, encoded(own, values)) == values


def ems(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "hil", "ems", *words]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)


def test_a_node_that_is_not_there_is_one_line_and_code_3() -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    done = ems("--tcp", f"127.0.0.1:{port}", "--seconds", "1")
    assert done.returncode == 3 and done.stderr.splitlines()[-1].startswith(
        "lightnode-hil: no light node at 127.0.0.1:"
    )


@pytest.mark.parametrize("words", [[], ["--tcp", "here"], ["--tcp", "h:1", "--serial", "x"]])
def test_wrong_usage_is_code_2(words: list[str]) -> None:
    assert ems(*words).returncode == 2
