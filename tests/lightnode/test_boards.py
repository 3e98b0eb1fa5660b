"""The boards that are sold, on stand-ins of the port's modules: no board was at hand. Flash is the rig's NOR model."""

import asyncio
import importlib
import sys
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lightnode import board_network
from lightnode.board_chip import HalfDuplex, PagedFlash
from lightnode.board_network import Link, password_of
from lightnode.errors import NodeError
from lightnode.journal import Journal
from lightwire import records

from hil.flash import NorFlash
from tests.conftest import ROOT
from tests.lightnode.parts import DEVICE, Node

PAGE = 256


class PageNor:
    """NOR cells behind rp2's driver: it programs whole pages, anything else it refuses."""

    def __init__(self, blocks: int) -> None:
        self.nor = NorFlash(blocks)
        self.programs = 0

    def readblocks(self, block: int, buffer: Any, offset: int = 0) -> None:
        self.nor.readblocks(block, buffer, offset)

    def writeblocks(self, block: int, data: Any, offset: int = 0) -> None:
        assert len(data) == PAGE and offset % PAGE == 0
        self.programs += 1
        for at, byte in enumerate(data):
            if byte != 0xFF:  # a cell that is programmed with a one stays as it is: the model takes that for a mistake
                self.nor.writeblocks(block, bytes([byte]), offset + at)

    def ioctl(self, operation: int, argument: int = 0) -> Any:
        return self.nor.ioctl(operation, argument)


@given(st.lists(st.binary(min_size=1, max_size=600), min_size=1, max_size=5), st.integers(0, 4096 - 3000))
def test_padded_pages_leave_what_single_bytes_would(pieces: list[bytes], offset: int) -> None:
    plain, paged = NorFlash(1), PageNor(1)
    flash = PagedFlash(paged)
    for flash_under_test in (plain, paged.nor):
        flash_under_test.ioctl(6, 0)
    for piece in pieces:
        plain.writeblocks(0, piece, offset)
        flash.writeblocks(0, piece, offset)
        offset += len(piece)
    found, wanted = bytearray(4096), bytearray(4096)
    plain.readblocks(0, wanted, 0)
    flash.readblocks(0, found, 0)
    assert found == wanted


def test_a_journal_lives_on_whole_pages_with_one_program_a_reading() -> None:
    paged = PageNor(8)
    node = Node(PagedFlash(paged))  # type: ignore[arg-type]
    node.trust(2_000_000_000_000)
    asyncio.run(node.slots(20))
    before = paged.programs
    asyncio.run(node.slots(20))
    assert 20 <= paged.programs - before <= 30  # a reading that crosses a page takes two, a statement three
    kept = [r.seq for r in node.kept(records.READING)]
    again = Journal(PagedFlash(paged), DEVICE)
    assert [r.seq for r in again.after(0) if r.KIND == records.READING] == kept


class Interface:
    """A network interface: `joins` counts attempts; up after `needs` of them."""

    def __init__(self, needs: int = 1) -> None:
        self.needs = needs
        self.joins = 0
        self.on = False
        self.address: Any = ("0.0.0.0",)

    def active(self, on: bool) -> None:
        self.on = on

    def ifconfig(self, address: Any = None) -> Any:
        if address is not None:
            self.address = address
        return self.address

    def join(self) -> None:
        self.joins += 1
        if self.joins == 2:
            raise OSError("joining already")

    def isconnected(self) -> bool:
        return self.joins >= self.needs


def test_rule_1_the_link_is_joined_again_by_whoever_wants_to_connect(monkeypatch: pytest.MonkeyPatch) -> None:
    async def at_once(_ms: int) -> None:
        return

    async def broker() -> str:
        return "streams"

    monkeypatch.setattr("lightnode.board_network.sleep_ms", at_once)
    interface = Interface(needs=3)
    asked: list[int] = []
    link = Link(interface, interface.join, lambda: asked.append(1), ("10.0.0.2", "255.0.0.0", "10.0.0.1", "10.0.0.1"))
    assert interface.on and link.text() == "down, 10.0.0.2"
    with pytest.raises(OSError, match="no link"):
        asyncio.run(link.connected(broker()))
    assert asyncio.run(link.connected(broker())) == "streams"
    assert interface.joins == 3 and link.text() == "up, 10.0.0.2"


def test_rule_2_ntp_is_asked_until_a_connection_holds_and_a_bad_answer_stops_nothing() -> None:
    async def refused() -> None:
        raise OSError("certificate not yet valid")

    async def taken() -> str:
        return "streams"

    def ask() -> None:
        asked.append(1)
        raise OverflowError("2036")

    asked: list[int] = []
    link = Link(Interface(), lambda: None, ask, None)
    link._interface.joins = 1
    with pytest.raises(OSError, match="not yet valid"):
        asyncio.run(link.connected(refused()))
    for _ in range(3):
        assert asyncio.run(link.connected(taken())) == "streams"
    assert len(asked) == 2


def test_the_direction_pin_is_high_only_while_it_sends() -> None:
    events: list[Any] = []

    class Port:
        def write(self, data: bytes) -> None:
            events.append(data)

        def flush(self) -> None:
            events.append("sent")
            if broken:
                raise OSError(5)

    broken = False
    line = HalfDuplex(Port(), events.append)
    line.write(b"ab")
    line.write(b"c")
    asyncio.run(line.drain())
    assert events == [0, 1, b"abc", "sent", 0]
    broken = True
    line.write(b"d")
    with pytest.raises(OSError):
        asyncio.run(line.drain())
    assert events[-1] == 0


def test_a_password_is_the_first_line_of_its_file_and_never_in_an_error(tmp_path: Path) -> None:
    path = tmp_path / "password"
    path.write_text("pass word\nanother\n")
    assert password_of(str(path)) == "pass word" and password_of(None) == ""
    path.write_bytes(b"\xff\xfe secret")
    with pytest.raises(NodeError) as refused:
        password_of(str(path))
    assert "secret" not in str(refused.value)
    with pytest.raises(NodeError, match="cannot be read"):
        password_of(str(tmp_path / "none"))


class Nvs:
    """ESP-IDF's store: what was set is there after commit."""

    stored: dict[str, bytes] = {}

    def __init__(self, namespace: str) -> None:
        self.waiting: dict[str, bytes] = {}

    def set_blob(self, key: str, value: bytes) -> None:
        self.waiting[key] = bytes(value)

    def commit(self) -> None:
        Nvs.stored.update(self.waiting)

    def get_blob(self, key: str, buffer: bytearray) -> int:
        if key not in Nvs.stored:
            raise OSError(-4354)
        buffer[: len(Nvs.stored[key])] = Nvs.stored[key]
        return len(Nvs.stored[key])


class Uart:
    """A UART that remembers how it was opened."""

    made: list[dict[str, Any]] = []

    def __init__(self, number: int, **options: Any) -> None:
        self.made.append({"id": number, **options})

    def init(self, **options: Any) -> None:
        self.made[-1].update(options)


class Pin(tuple):  # type: ignore[type-arg]
    """("pin", number); called, it sets its level."""

    OUT = 1

    def __new__(cls, number: int, mode: int = 0) -> "Pin":
        return super().__new__(cls, ("pin", number))

    def __call__(self, level: int) -> None:
        return None


def stand_ins(cause: int) -> dict[str, Any]:
    timers: list[int] = []
    wlan = types.SimpleNamespace(**{name: getattr(Interface(), name) for name in ("active", "ifconfig", "isconnected")})
    wlan.connect = lambda ssid, password: joined.append((ssid, password))
    joined: list[tuple[str, str]] = []
    wlan_class: Any = lambda _kind: wlan  # noqa: E731
    wlan_class.IF_STA = 0

    def flash(start: int = 0, len: int = 1 << 20) -> PageNor:
        made = PageNor(len // 4096)
        made.start = start  # type: ignore[attr-defined]
        return made

    class Partition:
        TYPE_DATA = 1
        find = staticmethod(lambda kind, label: [NorFlash(160)] if label == "journal" else [])

    machine = types.SimpleNamespace(
        WDT_RESET=3, PWRON_RESET=1, HARD_RESET=2, reset_cause=lambda: cause, UART=Uart, timers=timers, joined=joined,
        WDT=lambda timeout: timers.append(timeout), Pin=Pin,
    )  # fmt: skip
    return {
        "machine": machine,
        "network": types.SimpleNamespace(WLAN=wlan_class, hostname=lambda name: None),
        "ntptime": types.SimpleNamespace(settime=lambda: None),
        "rp2": types.SimpleNamespace(Flash=flash),
        "esp32": types.SimpleNamespace(
            NVS=Nvs, Partition=Partition, HEAP_DATA=4, idf_heap_info=lambda _kind: [(9, 8, 7, 6), (90, 80, 70, 60)]
        ),
    }


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Any]]:
    """Imports a board module over fresh stand-ins."""

    def loaded(name: str, cause: int = 1) -> Any:
        for module, stand_in in stand_ins(cause).items():
            monkeypatch.setitem(sys.modules, module, stand_in)
        for module in ("lightnode.board_esp32", "lightnode.board_rp2"):
            sys.modules.pop(module, None)
        board_network._used.clear()
        monkeypatch.setattr("asyncio.StreamReader", lambda port: port)
        monkeypatch.setattr("asyncio.StreamWriter", lambda port, extra: port)
        return importlib.import_module("lightnode." + name)

    yield loaded
    for module in ("lightnode.board_esp32", "lightnode.board_rp2"):
        sys.modules.pop(module, None)


def settings(tmp_path: Path, **other: Any) -> Callable[[str], Any]:
    (tmp_path / "password").write_text("open sesame\n")
    values = {
        "network.hostname": "lightnode", "network.interface": "wlan", "network.ssid": "site", "network.address": None,
        "network.password_file": str(tmp_path / "password"), "network.lan_pins": None,
    }  # fmt: skip
    return {**values, **other}.__getitem__


@pytest.mark.parametrize("name", ["board_esp32", "board_rp2"])
def test_a_board_has_the_whole_surface(load: Callable[..., Any], name: str) -> None:
    surface = (
        "random", "SystemClock", "open_flash", "check_files", "open_serial", "open_tcp", "open_network", "connect", "link", "watchdog",
        "reset_cause", "keep_reason", "last_reason", "open_console", "largest_block_bytes",
    )  # fmt: skip
    board = load(name)
    assert [entry for entry in surface if not hasattr(board, entry)] == []
    assert board.check_files(["1", __file__, "nowhere"]) == "nowhere"


@pytest.mark.parametrize("name", ["board_esp32", "board_rp2"])
@pytest.mark.parametrize(("cause", "wanted"), [(1, records.RESET_POWER), (3, records.RESET_WATCHDOG)])
def test_the_cause_of_a_reset_is_the_chips(load: Callable[..., Any], name: str, cause: int, wanted: int) -> None:
    assert load(name, cause).reset_cause() == wanted


def test_the_watchdog_of_rp2_gets_what_its_hardware_can_count(load: Callable[..., Any]) -> None:
    for name, wanted in (("board_rp2", 8388), ("board_esp32", 12_000)):
        board = load(name)
        board.watchdog(12_000)
        assert board.machine.timers == [wanted]


@pytest.mark.parametrize("name", ["board_esp32", "board_rp2"])
def test_it_joins_the_network_of_the_settings(load: Callable[..., Any], name: str, tmp_path: Path) -> None:
    board = load(name)
    assert board.link() == "none"
    board.open_network(settings(tmp_path))
    assert board.machine.joined == [("site", "open sesame")]
    assert board.link().startswith("down, ")
    with pytest.raises(NodeError, match="network.ssid is missing"):
        board.open_network(settings(tmp_path, **{"network.ssid": None}))
    wired = (
        "lan_pins is missing" if name == "board_esp32" else "interface is lan: this board has a wireless network only"
    )
    with pytest.raises(NodeError, match=wired):
        board.open_network(settings(tmp_path, **{"network.interface": "lan"}))


@pytest.mark.parametrize("name", ["board_esp32", "board_rp2"])
def test_rule_3_without_a_link_there_is_no_connection(load: Callable[..., Any], name: str) -> None:
    board = load(name)
    for connection in (board.open_tcp("h", 1), board.connect("h", 1, "", "", "")):
        with pytest.raises(OSError, match="no network"):
            asyncio.run(connection)


def test_esp32_has_its_radio_on_when_random_bytes_make_a_key(
    load: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    board, on = load("board_esp32"), []
    wlan = types.SimpleNamespace(active=on.append)
    monkeypatch.setattr(board.network, "WLAN", type("Wlan", (), {"IF_STA": 0, "__new__": lambda *_: wlan}))
    assert len(board.random(8)) == 8 and on == [True]


@pytest.mark.parametrize("name", ["board_esp32", "board_rp2"])
def test_the_meters_line_has_the_pins_and_the_form_of_the_settings(load: Callable[..., Any], name: str) -> None:
    board = load(name)
    Uart.made.clear()
    _, writer = board.open_serial("1", tx_pin=4, rx_pin=5, baud=19_200, parity="E")
    assert not isinstance(writer, HalfDuplex)
    made = Uart.made[-1]
    assert (made["id"], made["baudrate"], made["parity"], made["stop"], made["bits"]) == (1, 19_200, 0, 1, 8)
    assert made["tx"] in (4, ("pin", 4)) and made["rx"] in (5, ("pin", 5))
    _, writer = board.open_serial("1", de_pin=6)
    assert isinstance(writer, HalfDuplex) and "tx" not in Uart.made[-1]


def test_the_journal_of_rp2_lies_at_the_end_of_the_flash(
    load: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    board = load("board_rp2")
    sectors = 96
    monkeypatch.setattr(board.os, "statvfs", lambda _path: (4096, 4096, sectors))
    flash = board.open_flash("", 655_360)
    assert isinstance(flash, PagedFlash) and flash.ioctl(4, 0) == 160
    assert flash._flash.start == (1 << 20) - 655_360
    sectors = 97
    with pytest.raises(OSError, match="of 397312 bytes reaches into a journal of 655360"):
        board.open_flash("", 655_360)


@pytest.mark.parametrize("blank", [True, False])
def test_the_start_of_rp2_formats_only_a_blank_flash(
    load: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, blank: bool
) -> None:
    load("board_rp2")
    made: list[Any] = []

    class Lfs:
        def __init__(self, flash: Any, progsize: int) -> None:
            made.append(("lfs", flash.start, flash.ioctl(4), progsize))

        @staticmethod
        def mkfs(flash: Any, progsize: int) -> None:
            made.append("mkfs")

    vfs = types.SimpleNamespace(VfsLfs2=Lfs, mount=lambda _lfs, path: made.append(path))
    monkeypatch.setitem(sys.modules, "vfs", vfs)
    if not blank:
        monkeypatch.setattr(PageNor, "readblocks", lambda self, block, buffer, offset=0: None)
    source = (ROOT / "firmware" / "device" / "rp2" / "_boot.py").read_text()
    exec(compile(source, "_boot.py", "exec"), {"__name__": "_boot"})
    assert made == ["mkfs"] * blank + [("lfs", 0, 236, 256), "/"]


def test_the_journal_of_esp32_is_the_partition_of_its_name(load: Callable[..., Any]) -> None:
    board = load("board_esp32")
    assert board.open_flash("journal", 655_360).ioctl(4, 0) == 160
    with pytest.raises(OSError, match="no partition other"):
        board.open_flash("other", 655_360)
    with pytest.raises(OSError, match="160 sectors, 512 are wanted"):
        board.open_flash("journal", 1 << 21)


def test_esp32_keeps_the_reason_in_nvs_and_asks_the_system_for_the_largest_block(load: Callable[..., Any]) -> None:
    board = load("board_esp32")
    Nvs.stored.clear()
    assert board.last_reason("/") == b""
    board.keep_reason("/", b"\x03\x01why\n")
    assert board.last_reason("/") == b"\x03\x01why\n"
    board.keep_reason("/", b"")
    assert board.last_reason("/") == b""
    assert board.largest_block_bytes() == 70
