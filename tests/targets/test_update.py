"""An update on the real file system of the boards, LittleFS, whose flash stops at any of its operations."""

import pytest

from hil.targets.host import Vm
from hil.targets.target import Job
from tests.lightnode.parts import DEPLOYMENT, T0
from tests.lightnode.updating import UPDATE_KEY, made

pytestmark = pytest.mark.timeout(1200)
OLD = {"lightnode/__init__.py": b"", "lightnode/app.py": b"old = 1\n" * 40, "lightwire/cbor.py": b"same = 1\n" * 100}
NEW = {"lightnode/app.py": b"new = 2\n" * 200, "lightwire/__init__.py": b"", "lightwire/cbor.py": b"same = 1\n" * 100}

LITTLEFS = """
import asyncio, gc, os, vfs
from lightboot import chooser, files, state
from lightnode import keys, update
from lightwire import envelope, update as rules

BLOCK, BLOCKS = 512, 128

class PowerCut(BaseException):
    pass

class Flash:
    # NOR flash of a few blocks that stops after so many operations, in the middle of one
    def __init__(self, cells, left):
        self.cells, self.left, self.used = cells, left, 0

    def spend(self, change):
        self.used += 1
        if self.left == 0:
            change()
        if self.left <= 0:
            self.left = -1
            raise PowerCut
        self.left -= 1

    def readblocks(self, block, buffer, offset=0):
        at = block * BLOCK + offset
        buffer[:] = self.cells[at : at + len(buffer)]

    def program(self, at, data):
        self.cells[at : at + len(data)] = data

    def writeblocks(self, block, data, offset=0):
        at = block * BLOCK + offset
        self.spend(lambda: self.program(at, bytes(data[: len(data) // 2])))
        self.program(at, bytes(data))

    def ioctl(self, operation, argument):
        if operation == 4:
            return BLOCKS
        if operation == 5:
            return BLOCK
        if operation == 6:
            at = argument * BLOCK
            self.spend(lambda: self.program(at, b"\\xff" * (BLOCK // 2)))
            self.program(at, b"\\xff" * BLOCK)
        return 0

class Settings:
    def value(self, name):
        return VALUES[name]

class Clock:
    trusted = True
    def utc_ms(self):
        return T0
    def monotonic_ms(self):
        return 0

class Recorder:
    def __init__(self):
        self.reports = []
    def keep(self, make):
        self.reports.append(make(b"12345678", 1, 1, 1))
    def wake(self):
        pass

class Sampler:
    produced = 0

class Uplink:
    sessions = 0

KEY = keys.DeviceKey(77, 1, lambda count: bytes(count))
ROOT = "/flash/app"
VALUES["update.root"] = ROOT

def mounted(cells, left):
    flash = Flash(cells, left)
    vfs.mount(vfs.VfsLfs2(flash, progsize=32, readsize=32, lookahead=32), "/flash")
    return flash

def life():
    # power on: what the chooser picks, and whether the update it got was taken or committed
    folder = chooser.choose(ROOT, said.append)
    uplink, sampler, recorder = Uplink(), Sampler(), Recorder()
    node = update.Updates(Settings(), recorder, Clock(), KEY, sampler, uplink, update.running_slot(ROOT, folder))
    sampler.produced = uplink.sessions = 1
    asyncio.run(node.step())
    node.receive("update", ANNOUNCEMENT)
    asyncio.run(node.step())
    while True:
        wish = node.wish()
        if not wish:
            break
        sequence, path, offset, length = rules.decode_wish(wish)
        node.receive("chunk", rules.encode_piece(sequence, path, offset, NEW[path][offset : offset + length]))
        asyncio.run(node.step())
    return folder

def updated():
    for _ in range(4):
        if life()[-1:] == "b" and state.read(ROOT)[0].sequence == 11:
            return True
    return False

def holds(folder, content):
    there = {}
    for name in files.tree(folder):
        if name[-1] != "/":
            there[name] = files.read(folder + "/" + name, 99999)
    return there == content

blank = Flash(bytearray(b"\\xff" * (BLOCK * BLOCKS)), 1 << 30)
vfs.VfsLfs2.mkfs(blank, progsize=32, readsize=32, lookahead=32)
mounted(blank.cells, 1 << 30)
for path, data in OLD.items():
    files.make_folders(ROOT + "/a/" + path)
    files.write(ROOT + "/a/" + path, data)
files.write(ROOT + "/a.release", FIRST)
said = []
assert chooser.choose(ROOT, said.append) == ROOT + "/a"
vfs.umount("/flash")
base = bytes(blank.cells)

flash = mounted(bytearray(base), 1 << 30)
assert updated() and holds(ROOT + "/b", NEW), said
vfs.umount("/flash")
checked = 0
for cut in range(FIRST_CUT, flash.used, EVERY):
    cells = bytearray(base)
    left = mounted(cells, cut)
    try:
        updated()
        assert False, ("no cut", cut)
    except PowerCut:
        pass
    left.left = -1
    try:
        vfs.umount("/flash")
    except BaseException:
        pass
    mounted(cells, 1 << 30)
    del said[:]
    folder = chooser.choose(ROOT, said.append)
    assert folder in (ROOT + "/a", ROOT + "/b"), (cut, said)
    assert holds(folder, OLD if folder[-1] == "a" else NEW), (cut, folder, said)
    assert updated() and holds(ROOT + "/b", NEW), (cut, said)
    vfs.umount("/flash")
    checked += 1
print(flash.used, checked)
"""


def script(first: int, every: int) -> str:
    """With everything that this side makes."""
    values = {"update.key": UPDATE_KEY.public, "update.key_generation": 1, "hardware": "unix", "deployment": DEPLOYMENT}
    given = {
        "VALUES": values, "T0": T0, "OLD": OLD, "NEW": NEW, "FIRST": made(OLD, sequence=10).announcement,
        "ANNOUNCEMENT": made(NEW).announcement, "FIRST_CUT": first, "EVERY": every,
    }  # fmt: skip
    return "".join(f"{name} = {value!r}\n" for name, value in given.items()) + LITTLEFS


def test_a_cut_at_any_operation_of_littlefs_leaves_a_device_that_boots_and_goes_on(every_cut: bool) -> None:
    target = Vm()
    if reason := target.missing():
        pytest.skip(reason)
    used, checked = (int(word) for word in target.run(Job(script(0, 1 if every_cut else 17), timeout_s=1100)).split())
    assert used > 200 and checked >= used // 17
