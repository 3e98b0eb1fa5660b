"""An update on the real file system of the boards, LittleFS, whose flash stops at any of its operations."""

import re

import pytest

from hil.targets.chip import Chip
from hil.targets.host import Vm
from hil.targets.target import Job, Target
from hil.updates import application
from tests.conftest import ROOT
from tests.lightnode.parts import DEPLOYMENT, T0
from tests.lightnode.test_update import refusals
from tests.lightnode.updating import UPDATE_KEY, made

pytestmark = pytest.mark.timeout(1200)
OLD = {"lightnode/__init__.py": b"", "lightnode/app.py": b"old = 1\n" * 40, "lightwire/cbor.py": b"same = 1\n" * 100}
NEW = {"lightnode/app.py": b"new = 2\n" * 200, "lightwire/__init__.py": b"", "lightwire/cbor.py": b"same = 1\n" * 100}

PARTS = """
import asyncio
from lightboot import chooser, files, state
from lightnode import keys, update
from lightwire import update as rules

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
    async def keep(self, make):
        self.reports.append(make(b"12345678", 1, 1, 1))
    def wake(self):
        pass

class Sampler:
    produced = 0

class Uplink:
    sessions = 0

KEY = keys.DeviceKey(77, 1, lambda count: bytes(count))
VALUES["update.root"] = ROOT

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

def factory():
    for path, data in OLD.items():
        files.make_folders(ROOT + "/a/" + path)
        files.write(ROOT + "/a/" + path, data)
    files.write(ROOT + "/a.release", FIRST)
    assert chooser.choose(ROOT, said.append) == ROOT + "/a"

said = []
"""

CUTS = """
import vfs

BLOCK, BLOCKS = 4096, 32

class PowerCut(BaseException):
    pass

class Flash:
    # NOR flash of a few blocks that stops after so many operations, in the middle of one
    def __init__(self, cells, left):
        self.cells, self.left, self.used, self.is_gone = cells, left, 0, False

    def spend(self, change):
        self.used += 1
        if self.left == 0:
            change()
        if self.left <= 0:
            self.left = -1
            raise PowerCut
        self.left -= 1

    def readblocks(self, block, buffer, offset=0):
        if self.is_gone:
            return -5
        at = block * BLOCK + offset
        buffer[:] = self.cells[at : at + len(buffer)]

    def program(self, at, data):
        self.cells[at : at + len(data)] = data

    def writeblocks(self, block, data, offset=0):
        if self.is_gone:
            return -5
        at = block * BLOCK + offset
        self.spend(lambda: self.program(at, bytes(data[: len(data) // 2])))
        self.program(at, bytes(data))

    def ioctl(self, operation, argument):
        if operation == 4:
            return BLOCKS
        if operation == 5:
            return BLOCK
        if operation == 6 and self.is_gone:
            return -5
        if operation == 6:
            at = argument * BLOCK
            self.spend(lambda: self.program(at, b"\\xff" * (BLOCK // 2)))
            self.program(at, b"\\xff" * BLOCK)
        return 0

def mounted(cells, left):
    flash = Flash(cells, left)
    vfs.mount(vfs.VfsLfs2(flash, progsize=32, readsize=32, lookahead=32), "/flash")
    return flash

blank = Flash(bytearray(b"\\xff" * (BLOCK * BLOCKS)), 1 << 30)
vfs.VfsLfs2.mkfs(blank, progsize=32, readsize=32, lookahead=32)
mounted(blank.cells, 1 << 30)
factory()
vfs.umount("/flash")
base = bytes(blank.cells)

flash = mounted(bytearray(base), 1 << 30)
assert updated() and holds(ROOT + "/b", NEW), said
vfs.umount("/flash")
checked = 0
for cut in range(0, flash.used, EVERY):
    cells = bytearray(base)
    left = mounted(cells, cut)
    try:
        updated()
        assert False, ("no cut", cut)
    except PowerCut:
        pass
    left.is_gone = True  # files that are still open are closed some day
    try:
        vfs.umount("/flash")
    except OSError:
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


REFUSALS = """
factory()
found = {}
for name, announcement in CASES.items():
    recorder = Recorder()
    node = update.Updates(Settings(), recorder, Clock(), KEY, Sampler(), Uplink(), 1)
    node.receive("update", announcement)
    asyncio.run(node.step())
    assert node.wish() == b"" and not node.restart, name
    found[name] = [rules.REASONS[report.reason] for report in recorder.reports]
for name in sorted(found):
    print(name + ": " + ", ".join(found[name]))
print(updated(), holds(ROOT + "/b", NEW), holds(ROOT + "/a", OLD))
"""


def script(body: str, root: str, **more: object) -> str:
    """With everything that this side makes."""
    values = {"update.key": UPDATE_KEY.public, "update.key_generation": 1, "hardware": "unix", "deployment": DEPLOYMENT}
    given = {
        "ROOT": root, "VALUES": values, "T0": T0, "OLD": OLD, "NEW": NEW, "FIRST": made(OLD, sequence=10).announcement,
        "ANNOUNCEMENT": made(NEW).announcement,
    }  # fmt: skip
    return "".join(f"{name} = {value!r}\n" for name, value in {**given, **more}.items()) + PARTS + body


def test_a_cut_at_any_operation_of_littlefs_leaves_a_device_that_boots_and_goes_on(every_cut: bool) -> None:
    target = Vm()
    if reason := target.missing():
        pytest.skip(reason)
    printed = target.run(Job(script(CUTS, "/flash/app", EVERY=1 if every_cut else 9), timeout_s=1100))
    used, checked = (int(word) for word in printed.splitlines()[-1].split())  # above it: files that the cut left open
    assert used > 80 and checked >= used // 9


@pytest.mark.needs("flash", "asyncio")
def test_every_refusal_has_the_same_reason_everywhere_and_the_good_release_is_taken(target: Target) -> None:
    cases = refusals()
    root = "/app" if target.name == "chip" else "app"
    announcements = {name: announcement for name, (announcement, _) in cases.items()}
    *said, good = target.run(Job(script(REFUSALS, root, CASES=announcements), timeout_s=900)).splitlines()
    assert said == [f"{name}: {reason}" for name, (_, reason) in sorted(cases.items())]
    assert good == "True True True"


BOOT = """
import gc, mps2
from lightboot import chooser, files

with open("/rom/files", "rb") as packed:
    for row in LISTING.split("\\n")[:-1]:
        size, _, name = row.split(" ")
        files.make_folders("/app/a/" + name)
        files.write("/app/a/" + name, packed.read(int(size)))
files.write("/app/a.release", RELEASE)
assert chooser.choose("/app") == "/app/a"
gc.collect()
mps2.start()
found = chooser.choose("/app")
print(mps2.count(), found)
"""


def test_the_check_at_each_start_costs_what_the_readme_says() -> None:
    chip = Chip()
    if reason := chip.missing():
        pytest.skip(reason)
    found = made(application(board="chip"))
    listing = found.listing.decode()
    packed = b"".join(found.files[row.split(" ")[2]] for row in listing.splitlines())
    script = f"LISTING = {listing!r}\nRELEASE = {found.announcement!r}\n{BOOT}"
    count, folder = chip.run(Job(script, {"files": packed})).split()[-2:]
    assert folder == "/app/a"
    stated = re.search(r"about (\d+) million instructions", (ROOT / "firmware" / "README.md").read_text())
    assert stated and abs(int(count) - int(stated[1]) * 10**6) < 0.15 * int(count), count
