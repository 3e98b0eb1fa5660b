"""Runs in MicroPython's unix port and is a board: raw REPL on the standard streams, LittleFS in a file, hardware names.

Arguments: file of the flash, its size, file with what lies in firmware flash, identity as JSON {platform, machine, version,
unique_id}, "main" to run /main.py first or "prompt", the watchdog that goes on from before, in ms, 0 for none, and what one
access to flash takes to read, in ms; in real seconds, what its start takes and how long it thinks about its first script.
Exit code 3: the board was reset; 4: it wants its boot loader; 5: its watchdog has bitten. A watchdog counts the board's own
time: what a script, and each access to flash, would take there (the journal, a raw partition there, is a file here, and one
erase of it many writes: each counts little).
Protocol: MicroPython's reference manual, "Raw mode and raw-paste mode".
"""

import json
import sys
import time
from collections import namedtuple

import vfs

_BLOCK = 4096
_WINDOW = 256
_BANNER = b"raw REPL; CTRL-B to exit\r\n>"
_XIP = 0x10000000
_SCRIPT_MS = 200
_WRITE_MS = 1


class Watchdog:
    """As machine.WDT: it cannot be stopped."""

    def __init__(self, timeout_ms):
        self._timeout_ms = self._left_ms = timeout_ms

    def __call__(self, timeout):
        self._timeout_ms = self._left_ms = timeout
        return self

    def feed(self):
        self._left_ms = self._timeout_ms

    def spend(self, ms):
        if self._timeout_ms:
            self._left_ms -= ms
            if self._left_ms < 0:
                raise SystemExit(5)


class Flash:
    def __init__(self, path, size, watchdog, read_ms):
        self._watchdog = watchdog
        self._read_ms = read_ms
        self._file = open(path, "r+b")
        self._blocks = size // _BLOCK

    def readblocks(self, block, buffer, offset=0):
        self._watchdog.spend(self._read_ms)
        self._file.seek(block * _BLOCK + offset)
        self._file.readinto(buffer)

    def writeblocks(self, block, data, offset=0):
        self._watchdog.spend(_WRITE_MS)
        self._file.seek(block * _BLOCK + offset)
        self._file.write(data)

    def ioctl(self, command, _argument):
        return {4: self._blocks, 5: _BLOCK}.get(command, 0)


class Machine:
    def __init__(self, unique_id, watchdog):
        self._unique_id = unique_id
        self.WDT = watchdog

    def unique_id(self):
        return self._unique_id

    def reset(self):
        raise SystemExit(3)

    def bootloader(self):
        raise SystemExit(4)


class Memory:
    def __init__(self, firmware):
        self._firmware = firmware

    def bytearray_at(self, address, count):
        self._firmware.seek(address - _XIP)
        return bytearray(self._firmware.read(count))


class System:
    def __init__(self, identity):
        made = namedtuple("implementation", ("name", "version", "_machine", "_mpy"))
        version = tuple(identity["version"]) + ("",)
        self.implementation = made("micropython", version, identity["machine"], sys.implementation._mpy)
        self.platform = identity["platform"]
        self.argv = ["main.py"]

    def __getattr__(self, name):
        return getattr(sys, name)


def mounted(flash):
    vfs.umount("/")
    try:
        vfs.mount(flash, "/")
    except OSError:
        vfs.VfsLfs2.mkfs(flash)
        vfs.mount(flash, "/")


def say(data):
    sys.stdout.buffer.write(data)


def pasted(read, thinks_s):
    """The source of a raw paste; None if it is not one. thinks_s: for how long at first, and then no more."""
    if read(2) != b"A\x01":
        return None
    time.sleep(thinks_s.pop() if thinks_s else 0)
    say(b"R\x01" + _WINDOW.to_bytes(2, "little"))
    source, left = bytearray(), _WINDOW
    while True:
        byte = read(1)
        if not byte or byte == b"\x03":
            return None
        if byte == b"\x04":
            say(b"\x04")
            return source
        source += byte
        left -= 1
        if not left:
            say(b"\x01")
            left = _WINDOW


def run(source, names):
    sys.modules["machine"].WDT.spend(_SCRIPT_MS)
    try:
        exec(bytes(source), names)
        say(b"\x04")
    except SystemExit:
        raise
    except BaseException as error:
        say(b"\x04")
        sys.print_exception(error, sys.stdout)
    say(b"\x04>")


def raw(read, thinks_s):
    """Until the board is back in the friendly mode or its line ends."""
    say(_BANNER)
    source, names = bytearray(), {"__name__": "__main__"}
    while True:
        byte = read(1)
        if not byte or byte == b"\x02":
            return
        if byte == b"\x01":
            source = bytearray()
            say(_BANNER)
        elif byte == b"\x03":
            source = bytearray()
        elif byte == b"\x05" and not source:
            found = pasted(read, thinks_s)
            if found is not None:
                run(found, names)
        elif byte == b"\x04" and not source:
            say(b"OK\r\nMPY: soft reboot\r\n" + _BANNER)
            names = {"__name__": "__main__"}
        elif byte == b"\x04":
            say(b"OK")
            run(source, names)
            source = bytearray()
        else:
            source += byte


def start(source):
    """As at every start of a board: what fails is printed, then comes the prompt."""
    try:
        exec(source, {"__name__": "__main__"})
    except SystemExit:
        raise
    except BaseException as error:
        sys.print_exception(error, sys.stdout)


def main(path, size, firmware, identity, mode, watchdog_ms, read_ms, starts_s, thinks_s):
    time.sleep(int(starts_s))
    thinks_s = [int(thinks_s)]
    read = sys.stdin.buffer.read
    identity = json.loads(identity)
    watchdog = Watchdog(int(watchdog_ms))
    flash = Flash(path, int(size), watchdog, int(read_ms))
    sys.modules["machine"] = Machine(bytes.fromhex(identity["unique_id"]), watchdog)
    sys.modules["uctypes"] = Memory(open(firmware, "rb"))
    sys.modules["sys"] = System(identity)
    mounted(flash)
    if identity["platform"] == "linux":
        vfs.mount(vfs.VfsPosix("/dev"), "/dev")  # a computer as a board: its meter is a terminal
    sys.path[:] = ["", ".frozen", "/lib"]
    if mode == "main":
        try:
            source = open("/main.py").read()
        except OSError:
            source = ""
        start(source)
    say(b"MicroPython\r\n>>> ")
    while True:
        byte = read(1)
        if not byte:
            return
        if byte == b"\x01":
            raw(read, thinks_s)
            say(b"\r\n>>> ")


main(*sys.argv[1:])
