"""Each fault does what it says, to the byte: a test that relies on a fault that does nothing proves nothing."""

import asyncio
import contextlib
import errno
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from lightnode.clock import BUILD_MS, Clock
from lightnode.journal import Journal
from lightwire import records

from hil.faults.clock import JumpingClock, JumpingSource
from hil.faults.disk import SmallDisk, file_size_limit
from hil.faults.flash import SlowFlash
from hil.faults.link import Link
from hil.faults.netem import Netem, Weather
from hil.flash import NorFlash


@pytest.fixture
def echo() -> Iterator[int]:
    """The port of a server that says everything back."""
    loop = asyncio.new_event_loop()
    ready: list[int] = []
    started = threading.Event()

    async def back(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(4096):
                writer.write(data)
                await writer.drain()
        writer.close()

    async def serve() -> None:
        server = await asyncio.start_server(back, "127.0.0.1", 0)
        ready.append(server.sockets[0].getsockname()[1])
        started.set()
        await server.serve_forever()

    def run() -> None:
        with contextlib.suppress(RuntimeError):
            loop.run_until_complete(serve())

    threading.Thread(target=run, daemon=True).start()
    started.wait()
    yield ready[0]
    loop.call_soon_threadsafe(loop.stop)


def connected(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=5)


def read_all(sock: socket.socket) -> tuple[bytes, bool]:
    """(what came until the end, whether the end was a reset)."""
    found = b""
    while True:
        try:
            chunk = sock.recv(4096)
        except ConnectionResetError:
            return found, True
        if not chunk:
            return found, False
        found += chunk


def test_a_link_without_faults_changes_nothing(echo: int, link: Callable[[int], Link]) -> None:
    with connected(link(echo).port) as sock:
        sock.sendall(b"x" * 10_000)
        sock.shutdown(socket.SHUT_WR)
        assert read_all(sock) == (b"x" * 10_000, False)


@pytest.mark.parametrize("count", [0, 1, 99, 100, 101, 150, 199])
def test_link_rule_1_a_cut_comes_after_exactly_n_bytes_both_ways(
    echo: int, link: Callable[[int], Link], count: int
) -> None:
    made = link(echo)
    made.cut_after(count)
    with connected(made.port) as sock:
        sock.sendall(b"y" * 100)
        came, was_reset = read_all(sock)
    assert was_reset and len(came) <= max(0, count - 100)
    assert made.passed == count and made.cuts_left == 0
    with connected(made.port) as sock:
        sock.sendall(b"again")
        assert sock.recv(5) == b"again"


def test_link_rule_2_a_stalled_link_holds_and_then_gives_all_in_order(echo: int, link: Callable[[int], Link]) -> None:
    made = link(echo)
    with connected(made.port) as sock:
        sock.sendall(b"1")
        assert sock.recv(1) == b"1"
        made.stall()
        sock.sendall(b"23")
        sock.settimeout(0.2)
        with pytest.raises(TimeoutError):
            sock.recv(1)
        made.resume()
        sock.settimeout(5)
        assert sock.recv(2, socket.MSG_WAITALL) == b"23"
        made.stall()
        made.reset()
        assert read_all(sock) == (b"", True)


def test_link_rule_3_delay_and_rate_take_their_time(echo: int, link: Callable[[int], Link]) -> None:
    made = link(echo)
    made.delay_ms, made.bytes_per_s = 50, 100_000
    began = time.monotonic()
    with connected(made.port) as sock:
        sock.sendall(b"z" * 2000)
        assert sock.recv(2000, socket.MSG_WAITALL) == b"z" * 2000
    assert time.monotonic() - began >= 2 * (0.05 + 0.02)


def test_link_rule_3_a_lost_connection_is_reset_at_the_start(echo: int, link: Callable[[int], Link]) -> None:
    made = link(echo)
    made.lose = 1.0
    try:
        sock = connected(made.port)
    except ConnectionResetError:
        return  # the reset was there before the connection was seen
    with sock:
        assert read_all(sock) == (b"", True)


def test_packets_are_lost_doubled_and_turned_and_tcp_repairs_it(
    echo: int, netem: Callable[[int, Weather], Netem]
) -> None:
    made = netem(echo, Weather(delay_ms=2, jitter_ms=8, loss=0.02, duplicate=0.05))
    sent = bytes(range(256)) * 200
    with socket.create_connection(("127.0.0.1", made.port), timeout=60) as sock:
        began = time.monotonic()
        sock.sendall(sent)
        sock.shutdown(socket.SHUT_WR)
        assert read_all(sock) == (sent, False)
    assert time.monotonic() - began >= 0.004


def test_a_small_disk_is_full_and_has_room_again(small_disk: Callable[[int], SmallDisk]) -> None:
    disk = small_disk(1 << 20)
    disk.fill(but=8192)
    with pytest.raises(OSError) as full, (disk.folder / "file").open("wb", buffering=0) as file:
        for _ in range(100):
            file.write(bytes(4096))
    assert full.value.errno == errno.ENOSPC
    disk.free()
    (disk.folder / "file").write_bytes(bytes(100_000))


def test_a_disk_fills_while_a_program_writes_to_it(small_disk: Callable[[int], SmallDisk]) -> None:
    disk = small_disk(16 << 20)
    for _ in range(20):
        command = ["dd", "if=/dev/zero", f"of={disk.folder / 'file'}", "bs=4096"]
        with subprocess.Popen(command, stderr=subprocess.DEVNULL):
            while not (disk.folder / "file").exists():
                time.sleep(0.001)
            disk.fill()
            assert disk.left == 0
        disk.free()
        (disk.folder / "file").unlink()


def test_a_limit_of_file_size_needs_no_rights(tmp_path: Path) -> None:
    with (tmp_path / "file").open("wb", buffering=0) as file:
        with file_size_limit(5000), pytest.raises(OSError) as full:
            for _ in range(100):
                file.write(bytes(1000))
        assert full.value.errno == errno.EFBIG
        assert file.tell() == 5000
        file.write(bytes(1000))


def reading(seq: int) -> records.Reading:
    return records.Reading(bytes(8), 1, 1, seq, 4000 * seq, 0, seq, 0, 0, 0, (230_000,) * 3, 50_000)


def test_slow_flash_waits_for_pages_and_sectors_and_loses_nothing(slow_flash: Callable[..., SlowFlash]) -> None:
    slept: list[float] = []
    slow = slow_flash(NorFlash(8), 3, 400, slept.append)
    journal = Journal(slow)
    for seq in range(1, 301):
        journal.append(reading(seq))
    assert slow.spent_ms == pytest.approx(1000 * sum(slept))
    assert slow.spent_ms >= 300 * 3 + 2 * 400
    assert [record.seq for record in Journal(slow).after(0)] == list(range(1, 301))


class Ticks:
    """A source of time that stands where it is put."""

    def __init__(self) -> None:
        self.ms = 0

    def monotonic_ms(self) -> int:
        return self.ms

    def agrees(self, _utc_ms: int) -> bool:
        return True


@pytest.mark.parametrize("jump_ms", [-3_600_000, -4000, 4000, 3_600_000])
def test_whatever_a_source_does_a_node_s_clock_never_moves_back(
    jumping_source: Callable[[Ticks], JumpingSource], jump_ms: int
) -> None:
    ticks = Ticks()
    source = jumping_source(ticks)
    clock = Clock(source, 0, lambda count: bytes([7]) * count)
    assert clock.answer(clock.ask(), BUILD_MS + 86_400_000)
    seen, slots = [clock.utc_ms()], [clock.begin_slot(0)]
    for k in range(1, 6):
        ticks.ms += 4000
        if k == 3:
            source.jump(jump_ms)
        slots.append(clock.begin_slot(clock.next_slot()))
        seen.append(clock.utc_ms())
    assert seen == sorted(seen)
    assert slots == sorted(set(slots)), "no slot is done twice"


def test_a_back_end_s_clock_jumps(jumping_clock: Callable[[Callable[[], int]], JumpingClock]) -> None:
    clock = jumping_clock(lambda: 1000)
    clock.jump(-400)
    assert clock() == 600
