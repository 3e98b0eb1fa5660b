"""Nobody comes by: a stuck program is reset by the watchdog, its reason is reported, and the console answers meanwhile."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from lightwire import records

from hil.meters.catalogue import meter_map
from hil.meters.meter import Meter, Terminals
from hil.meters.station import Station
from hil.targets.chip import Chip
from hil.targets.meter_line import on_a_terminal
from hil.targets.repl import Repl
from hil.targets.target import Job, Target, TargetError
from tests.targets.test_application import CONFIG

pytestmark = [pytest.mark.needs("uart", "flash", "asyncio", "watchdog"), pytest.mark.timeout(1200)]

NODE = """
import asyncio, json, os, time
from lightnode import app, board, settings
from lightnode.journal import Journal
from lightnode.reason import Reset
from lightwire import records

here = board.load()

def kept():
    journal = Journal(here.open_flash("journal", 65536))
    return [tuple(r)[4:] for r in journal.after(0) if r.KIND == records.DIAGNOSTICS]

def node(console=False):
    return app.Node(settings.load("/rom/config.json"), here, console)

async def lives(made, ms):
    running = asyncio.create_task(made.run())
    await asyncio.sleep_ms(ms)
    running.cancel()
    return made
"""
STUCK = "import time\nwhile True:\n    time.sleep_ms(1000)\n"
NUMBER = {name: k for k, name in enumerate(records.Diagnostics._fields[4:])}


@contextmanager
def board(flash: Path, meter: str = "") -> Iterator[Repl]:
    """A chip on this flash with the node's settings, its script defined."""
    files = {"config.json": json.dumps(CONFIG).encode(), "node.py": NODE.encode()}
    with Chip(flash=flash).started(files, meter) as repl:
        repl.run("from node import *", 60)
        yield repl


@contextmanager
def a_meter() -> Iterator[str]:
    station = Station(Meter("P1", meter_map("sdm630"), ct_ratio=20), unit=7)
    station.offer(0, Terminals.spread(3, 6_000, 0, 230_000))
    with on_a_terminal(station) as path:
        yield path


@pytest.fixture
def flash(target: Target, tmp_path: Path) -> Path:
    """Where the chip's flash outlives it; only the chip has a watchdog to be shown."""
    if target.name != "chip":
        pytest.skip("the watchdog of this target would reset what runs the test")
    return tmp_path / "flash"


def wait_for_reset(repl: Repl) -> None:
    """Until the board has started again and its REPL answers."""
    repl.enter(400)


def diagnostics(repl: Repl) -> list[tuple[int, ...]]:
    return [tuple(row) for row in json.loads(repl.run("import json; print(json.dumps(kept()))", 60))]


@pytest.mark.parametrize(
    "stuck",
    [
        pytest.param(
            "async def slot(mark):\n    while True:\n        time.sleep_ms(100)\nmade._sampler.slot = slot",
            id="the sampling task",
        ),
        pytest.param(
            "async def run(alive):\n    await asyncio.sleep_ms(5000)\n    while True:\n        time.sleep_ms(100)\n"
            "made._tasks[0] = (2, 'uplink', run, 0)",
            id="another task",
            marks=pytest.mark.long,
        ),
    ],
)
def test_a_program_that_is_stuck_is_reset_and_the_next_start_says_so(flash: Path, stuck: str) -> None:
    with a_meter() as meter, board(flash, meter) as repl:
        with pytest.raises(TargetError):
            repl.run(f"made = node()\n{stuck}\nasyncio.run(made.run())", 30)
        wait_for_reset(repl)
        assert repl.run("import mps2; print(mps2.resets(), mps2.by_watchdog())", 10) == "1 True\n"
        repl.run("from node import *\nasyncio.run(lives(node(), 6000))", 60)
        made = diagnostics(repl)
    assert [row[NUMBER["reset_cause"]] for row in made] == [records.RESET_WATCHDOG]
    assert made[0][NUMBER["fault"]] == records.TASK_SAMPLER
    assert 10_000 < made[0][NUMBER["heap_block_bytes"]] <= made[0][NUMBER["heap_free_bytes"]] < 128 * 1024


def test_a_sampling_task_that_fails_leaves_its_reason_to_the_next_start(flash: Path) -> None:
    fails = "async def slot(mark):\n    raise ValueError('4711')\nmade._sampler.slot = slot"
    caught = "\ntry:\n    asyncio.run(made.run())\nexcept Reset as reset:\n    print(reset)"
    with a_meter() as meter, board(flash, meter) as repl:
        words = repl.run(f"made = node()\n{fails}{caught}", 60)
        assert words.startswith("failure, sampler: ValueError") and "4711" not in words
        assert repl.run("print(here.last_reason('/')[:2])", 10) == "b'\\x03\\x01'\n"
    with a_meter() as meter, board(flash, meter) as repl:  # and over a loss of power
        assert "ValueError" in repl.run("made = asyncio.run(lives(node(), 6000)); print(made._log.before)", 60)
        made = diagnostics(repl)
        assert repl.run("print(here.last_reason('/'))", 10) == "b''\n"
    assert [row[NUMBER["reset_cause"]] for row in made] == [records.RESET_FAILURE]
    assert made[0][NUMBER["fault"]] == records.TASK_SAMPLER


@pytest.mark.long
def test_while_the_sampling_task_lives_the_watchdog_is_fed(flash: Path) -> None:
    with a_meter() as meter, board(flash, meter) as repl:
        words = repl.run("made = asyncio.run(lives(node(), 30000)); print(made._sampler.produced)", 170)
        assert words in ("7\n", "8\n")
        assert repl.run("import mps2; print(mps2.resets())", 10) == "0\n"


def test_the_console_answers_on_the_serial_port_while_the_node_works(flash: Path) -> None:
    with a_meter() as meter, board(flash, meter) as repl:
        line = repl._line
        repl._paste(b"made = node(True)\nasyncio.run(lives(made, 20000))\nprint('produced', made._sampler.produced)")
        heard = b""

        def say(command: bytes, until: bytes, timeout_s: float = 60.0) -> bytes:
            nonlocal heard
            heard = b""
            line.write(command)
            end = time.monotonic() + timeout_s
            while until not in heard and time.monotonic() < end:
                heard += line.read(0.2)
            assert until in heard, heard
            return heard

        assert b"trusted: False" in say(b"status\r", b"uptime_s")
        assert b'"power_w": 6000' in say(b"meter json\r", b"}}")
        assert b"try help" in say(b"secret\r", b"help")
        assert b"platform: mps2" in say(b"version\r", b"python")
        assert int(say(b"", b"\x04", 120).split(b"produced ")[1].split()[0]) in (4, 5)  # no slot waited for the console


def test_the_vm_and_the_chip_measure_the_same_heap_as_their_collector(target: Target) -> None:
    script = (
        "import gc\nfrom lightnode.heap import free_bytes, largest_block_bytes\n"
        "block, free = largest_block_bytes(), free_bytes()\n"
        "print(0 < block <= free <= gc.mem_free() + gc.mem_alloc(), free_bytes() > 0)"
    )
    assert target.run(Job(script)) == "True True\n"
