"""A shelf of simulated boards, small builds for them, and firmware files with their pins."""

import hashlib
from collections.abc import Mapping
from pathlib import Path

from lightflash import build
from lightflash.batch import Row
from lightflash.device_log import DeviceLog, Entry
from lightflash.firmware_file import Pin
from lightflash.many import Bench as Ports
from lightflash.many import Wanted, jobs, write_all
from lightflash.uf2 import wrapped
from littlefs import LittleFS

from hil.boards.board import MODELS, Board, firmware

OLD, NEW = (1, 25, 0), (1, 26, 1)
FILES = {
    "/main.py": b"print('started')\n",
    "/app/a/lightnode/app.mpy": bytes(range(256)) * 9,
    "/app/a.release": b"release",
    "/app/state.0": b"state",
}
NOTHING = Ports(list, list)


def a_build(folder: Path, board: str, files: Mapping[str, bytes] = FILES) -> Path:
    """A build as `lightnode-flash build` leaves it, with these files."""
    outputs = {"files" + path: content for path, content in files.items()}
    record = {
        "format": build.FORMAT,
        "board": board,
        "outputs": {p: {"bytes": len(c), "sha256": hashlib.sha256(c).hexdigest()} for p, c in outputs.items()},
    }
    build.write(build.Build(outputs, record), folder)
    return folder


def firmware_file(folder: Path, model: str, version: tuple[int, int, int] = NEW, size: int = 16_384) -> Pin:
    """A firmware file of the model as it is downloaded, and its pin."""
    content = firmware(model, version, size, 7)
    if MODELS[model].family:
        content = wrapped(content, MODELS[model].family)
    path = folder / f"{model}-{'.'.join(map(str, version))}.{'uf2' if MODELS[model].family else 'bin'}"
    path.write_bytes(content)
    return Pin(path, hashlib.sha256(content).hexdigest(), version)


def pins(folder: Path, *models: str) -> dict[str, Pin]:
    """A pin for each model."""
    return {model: firmware_file(folder, model) for model in models}


def firmware_list(path: Path, made: Mapping[str, Pin]) -> Path:
    """The pins as a list of firmware files."""
    path.write_text(
        "".join(
            f'[{name}]\nfile = "{pin.path}"\nsha256 = "{pin.sha256}"\nversion = "{".".join(map(str, pin.version))}"\n'
            for name, pin in made.items()
        )
    )
    return path


def a_board(folder: Path, model: str = "esp32-s3", number: int = 1, runs: tuple[int, int, int] | None = NEW) -> Board:
    """A board that runs a version of MicroPython, or came without."""
    size = 8 if MODELS[model].drive else 6
    board = Board(folder, model, bytes((0x7C, 0xDF)) + number.to_bytes(size - 2, "big"))
    if runs is not None:
        board.install(firmware(model, runs, 16_384, 7))
    return board


def row(board: Board, name: str = "N01", kind: str = "") -> Row:
    """The row of a board in a list."""
    drive = str(board.drive) if board.kind.drive else ""
    return Row(name, kind or board.model, port=str(board.port), drive=drive)


def written(rows: list[Row], wanted: Wanted, log: DeviceLog) -> list[Entry]:
    """All of them, by one run of the flasher."""
    made, refused = jobs(rows, wanted, ())
    return write_all(made, refused, NOTHING, log, lambda *_: None)


def files_on(board: Board) -> dict[str, bytes]:
    """Every file in the board's flash, read without the board."""
    system = _system(board.files.stat().st_size)
    system.context.buffer = bytearray(board.files.read_bytes())
    system.mount()
    found = {}
    for folder, _, names in system.walk("/"):
        for name in names:
            path = f"{folder.rstrip('/')}/{name}"
            with system.open(path, "rb") as file:
                found[path] = file.read()
    return found


def put_on(board: Board, files: Mapping[str, bytes]) -> None:
    """The board's flash holds these files and no others."""
    system = _system(board.files.stat().st_size)
    system.format()
    system.mount()
    for path, content in files.items():
        system.makedirs(path.rpartition("/")[0], exist_ok=True)
        with system.open(path, "wb") as file:
            file.write(content)
    system.unmount()
    board.files.write_bytes(bytes(system.context.buffer))


def _system(size: int) -> LittleFS:
    return LittleFS(
        mount=False,
        block_size=4096,
        block_count=size // 4096,
        read_size=32,
        prog_size=32,
        cache_size=128,
        lookahead_size=32,
    )
