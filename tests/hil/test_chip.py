"""The emulated chip: its flash, its watchdog, its counter, its end; and the board's driver, which drives it over a pty."""

import os
import re
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from hil.mcu import image as images
from hil.mcu.romfs import romfs
from hil.process import die_with_parent
from hil.targets.board import Board
from hil.targets.chip import Chip
from hil.targets.target import Job, ScriptFailed, TargetError

pytestmark = pytest.mark.timeout(1200)  # the first of them may have to build the image


@pytest.fixture(scope="session", autouse=True)
def built() -> None:
    if reason := Chip().missing():
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)


def test_it_is_a_small_machine_with_time_select_asyncio_and_files() -> None:
    script = """
        import asyncio, gc, os, select, sys, time
        before = time.ticks_ms()
        async def pause():
            await asyncio.sleep_ms(30)
        asyncio.run(pause())
        assert 30 <= time.ticks_diff(time.ticks_ms(), before) < 60
        with open("/kept", "w") as f:
            f.write("x" * 5000)
        print(sys.platform, os.stat("/kept")[6], gc.mem_alloc() + gc.mem_free() <= 131072, len(os.listdir('/')))
    """
    assert Chip().run(Job(textwrap.dedent(script))).split() == ["mps2", "5000", "True", "2"]


def test_rule_2_files_and_the_raw_partition_outlive_a_loss_of_power(tmp_path: Path) -> None:
    chip = Chip(flash=tmp_path / "flash")
    script = "import mps2\nmps2.Partition(0, 160).writeblocks(3, b'kept', 7)\nwith open('/note', 'w') as f:\n    f.write('too')"
    chip.run(Job(script))
    script = "import mps2\nb = bytearray(4)\nmps2.Partition(0, 160).readblocks(3, b, 7)\nprint(b, open('/note').read())"
    assert chip.run(Job(script)) == "bytearray(b'kept') too\n"


def test_the_flash_clears_bits_and_sets_none_without_an_erase() -> None:
    script = """
        import mps2
        flash = mps2.Partition(0, 4)
        flash.writeblocks(0, b"\\x0f", 0)
        flash.writeblocks(0, b"\\x05", 0)
        try:
            flash.writeblocks(0, b"\\x07", 0)
        except OSError as error:
            print("refused", error.errno)
        flash.ioctl(6, 0)
        flash.writeblocks(0, b"\\x07", 0)
        for block, offset, count in ((4, 0, 1), (3, 4096, 1), (3, 4090, 7), (-1, 0, 1)):
            try:
                flash.readblocks(block, bytearray(count), offset)
            except OSError:
                print("outside")
    """
    assert Chip().run(Job(textwrap.dedent(script))).split() == ["refused", "5", *["outside"] * 4]


def test_an_unfed_watchdog_resets_and_the_flash_stays() -> None:
    with Chip().started({}) as repl:
        repl.run("import mps2\nmps2.Partition(0, 4).writeblocks(0, b'kept', 0)", 10)
        with pytest.raises(TargetError):
            repl.run("import machine\nmachine.WDT(timeout=50)\nwhile True:\n    pass", 3)
        repl.enter()
        script = "import mps2\nb = bytearray(4)\nmps2.Partition(0, 4).readblocks(0, b, 0)\nprint(mps2.resets(), b)"
        assert repl.run(script, 10) == "1 bytearray(b'kept')\n"


def test_a_fed_watchdog_lets_it_live() -> None:
    script = "import machine, time\nw = machine.WDT(timeout=50)\nfor _ in range(6):\n    time.sleep_ms(20)\n    w.feed()\nprint('alive')"
    assert Chip().run(Job(script)) == "alive\n"


def test_the_counter_counts_single_instructions() -> None:
    script = """
        import mps2
        def counted(n):
            mps2.start()
            mps2.spin(n)
            return mps2.count()
        counted(1)
        first = counted(1)
        print(*[counted(n) - first - 2 * (n - 1) for n in (2, 3, 20, 21, 22, 1000, 100_000)])
    """
    assert Chip().run(Job(textwrap.dedent(script))).split() == ["0"] * 7


def test_waiting_is_not_counted() -> None:
    script = """
        import mps2, time
        def counted(ms):
            mps2.start()
            time.sleep_ms(ms)
            return mps2.count()
        counted(1)
        print(counted(2), counted(60))
    """
    short, long = (int(word) for word in Chip().run(Job(textwrap.dedent(script))).split())
    assert 0 < short < 10_000 and abs(long - short) < 1000


def test_the_seed_decides_what_is_random() -> None:
    script = Job("import os\nprint(os.urandom(16).hex())")
    first, again, other = (Chip(seed=seed).run(script) for seed in (7, 7, 8))
    assert first == again != other


def test_the_heap_is_as_large_as_asked_for() -> None:
    script = Job("b = bytearray(60_000)\nprint('fits')")
    assert Chip(heap=98_304).run(script) == "fits\n"
    with pytest.raises(ScriptFailed, match="MemoryError"):
        Chip(heap=49_152).run(script)


@pytest.mark.parametrize("length", [0, 1, 2, 127, 128, 129, 20_000])
def test_a_rom_of_any_size_mounts(length: int) -> None:
    files = {"a": b"x" * length, "long-name.txt": b"y"}
    assert len(romfs(files)) % 2 == 0
    script = "import os\nprint(len(os.listdir('/rom')), len(open('a').read()), open('long-name.txt').read())"
    assert Chip().run(Job(script, files)) == f"3 {length} y\n"


def test_an_image_is_made_from_every_file_that_it_holds() -> None:
    names = {f"{p.parent.name}/{p.name}" for p in images.inputs()}
    assert {
        "lightwire/ecdsa.py",
        "lightnode/board_mps2.py",
        "mps2/board.c",
        "board/manifest.py",
        "mcu/image.py",
    } <= names


def test_rule_1_kill_9_of_the_parent_leaves_no_emulator(tmp_path: Path) -> None:
    code = textwrap.dedent("""
        import subprocess, sys, time
        from hil.targets.chip import Chip
        with Chip().started({}) as repl:
            print(repl.run("print('up')", 10).strip(), flush=True)
            time.sleep(60)
    """)
    folder = {**os.environ, "TMPDIR": str(tmp_path)}  # what is killed cannot take its flash away
    parent = subprocess.Popen([sys.executable, "-c", code], env=folder, stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None and parent.stdout.readline() == "up\n"
    children = Path(f"/proc/{parent.pid}/task/{parent.pid}/children").read_text().split()
    assert len(children) == 1
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    stat, end = Path(f"/proc/{children[0]}/stat"), time.monotonic() + 5
    while stat.exists() and stat.read_text().split()[2] != "Z" and time.monotonic() < end:
        time.sleep(0.01)
    assert not stat.exists() or stat.read_text().split()[2] == "Z"


@contextmanager
def chip_on_a_terminal(flash: Path) -> Iterator[str]:
    """A chip whose REPL is a pseudo terminal, as a board's is a serial port."""
    with Chip(flash=flash).started({}):
        pass  # makes the flash
    process = subprocess.Popen(
        Chip().command(flash, "", "pty"), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, preexec_fn=die_with_parent
    )
    try:
        assert process.stdout is not None
        found = re.search(rb"redirected to (\S+)", process.stdout.readline())
        assert found is not None
        yield found[1].decode()
    finally:
        process.kill()
        process.communicate()


@pytest.mark.long
def test_the_boards_driver_installs_the_firmware_once_and_runs_jobs(tmp_path: Path) -> None:
    with chip_on_a_terminal(tmp_path / "flash") as port:
        board = Board(port)
        script = "import os\nimport lightwire.topics\nprint(lightwire.topics.__file__, open('a.txt').read())"
        assert board.run(Job(script, {"a.txt": b"given"})) == "/lightnode-rig/lightwire/topics.mpy given\n"
        board.run(Job("with open('lightwire/topics.mpy', 'wb') as file:\n    file.write(b'1')"))
        script = "import os\nprint(sorted(os.listdir()), os.stat('lightwire/topics.mpy')[6])"
        assert board.run(Job(script)) == "['lightnode', 'lightwire', 'stamp'] 1\n"  # it is not copied again
        with pytest.raises(ScriptFailed, match="ZeroDivisionError"):
            board.run(Job("1 // 0"))
