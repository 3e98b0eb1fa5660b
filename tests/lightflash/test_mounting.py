"""The image in MicroPython itself: mounted as the board mounts it, read, started from, and written to."""

import hashlib
import json
import subprocess
from pathlib import Path

import pytest
from lightflash import board as boards
from lightflash.image import contents, image

from hil.runtime import RuntimePartMissing, micropython_command
from hil.targets.chip import Chip
from tests.lightflash.building import built, signed

MOUNT = """
import hashlib, json, os, sys, vfs

class Flash:  # NOR flash in a file: programming only clears bits, in pieces that the board can program
    def __init__(self, path):
        self.file = open(path, "r+b")
    def readblocks(self, block, buffer, offset=0):
        self.file.seek(block * BLOCK + offset)
        self.file.readinto(buffer)
    def writeblocks(self, block, data, offset=0):
        assert offset % PROG == 0 and len(data) % PROG == 0
        self.file.seek(block * BLOCK + offset)
        before = self.file.read(len(data))
        assert all(a & b == b for a, b in zip(before, data))
        self.file.seek(block * BLOCK + offset)
        self.file.write(data)
    def ioctl(self, operation, argument):
        if operation == 4:
            return BLOCKS
        if operation == 5:
            return BLOCK
        if operation == 6:
            self.file.seek(argument * BLOCK)
            self.file.write(b"\\xff" * BLOCK)
        return 0

if PROG == 32:  # as the start of an ESP32: MicroPython finds out itself what it is
    vfs.mount(Flash("image.bin"), "/dev0")
else:
    vfs.mount(vfs.VfsLfs2(Flash("image.bin"), readsize=READ, progsize=PROG, lookahead=AHEAD), "/dev0")

def walk(folder, found):
    for entry in os.ilistdir(folder):
        path = folder + "/" + entry[0]
        if entry[1] == 0x4000:
            walk(path, found)
        else:
            with open(path, "rb") as file:
                found[path[6:]] = "".join("%02x" % b for b in hashlib.sha256(file.read()).digest())
    return found
"""
START = """
found = walk("/dev0", {})
sys.path[:] = ["/dev0", ".frozen"]
from lightboot import chooser, files
folder = chooser.choose("/dev0/app")
sys.path.insert(0, folder)
import lightnode, lightboot
from lightnode import app
from lightnode import meters
from lightwire import records
with open("/dev0/config.json", "w") as file:
    file.write("{}")
for path in found if SLOTS == 2 else ():
    if path.startswith("app/a/"):
        files.make_folders("/dev0/app/b/" + path[6:])
        with open("/dev0/" + path, "rb") as source, open("/dev0/app/b/" + path[6:], "wb") as copy:
            copy.write(source.read())
print(json.dumps({"files": found, "folder": folder, "version": lightnode.FIRMWARE_VERSION,
                  "meters": meters.names(), "map": meters.layout("em340").__file__,
                  "from": [lightnode.__file__, lightboot.__file__, app.__file__, records.__file__]}))
"""


def parameters(board: boards.Board) -> str:
    values = (board.slots, board.sector_bytes, board.files.bytes // board.sector_bytes, board.littlefs.read_bytes)
    return "SLOTS, BLOCK, BLOCKS, READ, PROG, AHEAD = {}, {}, {}, {}, {}, {}\n".format(
        *values, board.littlefs.prog_bytes, board.littlefs.lookahead_bytes
    )


def in_the_vm(folder: Path, script: str) -> str:
    try:
        command = micropython_command()
    except RuntimePartMissing as missing:
        pytest.skip(str(missing))
    (folder / "script.py").write_text(script)
    env = {"MICROPYPATH": ".frozen"}
    done = subprocess.run(
        [*command, "-X", "heapsize=4M", "script.py"],
        cwd=folder,
        env=env,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("name", ["esp32-s3", "esp32-c3", "esp32", "rp2040-w", "rp2350-w", "chip", "unix"])
def test_micropython_mounts_the_image_and_starts_from_it(name: str, tmp_path: Path) -> None:
    made, board = signed(name), boards.board(name)
    (tmp_path / "image.bin").write_bytes(made.outputs["image.bin"])
    told = json.loads(in_the_vm(tmp_path, parameters(board) + MOUNT + START))
    assert told["files"] == {path: hashlib.sha256(data).hexdigest() for path, data in made.files.items()}
    assert told["folder"] == "/dev0/app/a"
    assert told["version"] == made.record["version"]
    assert told["from"] == [
        "/dev0/app/a/lightnode/__init__.mpy",
        "/dev0/lightboot/__init__.mpy",
        "/dev0/app/a/lightnode/app.mpy",
        "/dev0/app/a/lightwire/records.mpy",
    ]
    assert len(told["meters"]) > 7 and told["map"] == "/dev0/app/a/lightnode/meters/em340.mpy"
    after = contents((tmp_path / "image.bin").read_bytes(), board)
    assert after["config.json"] == b"{}"
    assert {path: after[path] for path in made.files} == made.files


def test_files_of_every_size_around_the_caches_are_read_whole(tmp_path: Path) -> None:
    """What LittleFS keeps inside its metadata depends on the cache: sizes on both sides of every limit."""
    for name in ("rp2350-w", "esp32"):
        board = boards.board(name)
        sizes = (0, 1, 31, 127, 128, 129, 255, 511, 512, 513, 1023, 1024, 1025, 4095, 4096, 4097, 20_000)
        files = {f"f{size}": bytes(k * 7 & 255 for k in range(size)) for size in sizes}
        (tmp_path / "image.bin").write_bytes(image(files, board))
        script = parameters(board) + MOUNT + 'print(json.dumps(walk("/dev0", {})))'
        assert json.loads(in_the_vm(tmp_path, script)) == {
            path: hashlib.sha256(data).hexdigest() for path, data in files.items()
        }


@pytest.mark.timeout(900)
def test_the_emulated_chip_starts_with_the_image_in_its_flash(tmp_path: Path) -> None:
    """Its own start mounts the image, unchanged, and the application is imported from there and not from the firmware."""
    missing = Chip().missing()
    if missing:
        pytest.skip(missing)
    made, board = built("chip"), boards.board("chip")
    flash = tmp_path / "flash"
    flash.write_bytes(b"\xff" * board.files.offset + made.outputs["image.bin"] + b"\xff" * ((16 << 20) - (1 << 20)))
    with Chip(flash=flash).started({}) as repl:
        told = repl.run(
            "import sys\nsys.path[:] = ['/']\nfrom lightboot import chooser\nfolder = chooser.choose('/app')\n"
            "sys.path.insert(0, folder)\nimport lightnode.journal\n"
            "print(folder, lightnode.FIRMWARE_VERSION, lightnode.journal.__file__)",
            120,
        )
    assert told.split() == ["/app/a", made.record["version"], "/app/a/lightnode/journal.mpy"]
