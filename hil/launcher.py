"""How the rig starts a light node in the VM when it wants more than `-m lightnode.app`: full speed, slow and torn flash.

1. The application is the firmware's own; what is changed is below it: the VM's poll and the file that plays the flash.
2. Speed: the VM's poll waits a millisecond whenever a TLS stream is in the set, also while a task is ready to run. Here
   ready tasks run first, and streams are asked after sixteen of them at the latest. What is written to the flash stays with
   the kernel: it outlives kill -9 of the node, and no rig takes the power from the computer itself.
3. `cut_after`: after so many programmed bytes (an erase counts as sixteen) power goes: the write stops at that byte and the
   process is gone as by kill -9.
4. `patience`: how much longer than on a board it waits for a meter that has answered, in place of the application's twenty.
5. `program_ms` for each started page of 256 bytes and `erase_ms` for each sector: flash that takes its time.
"""

import json
from pathlib import Path

ENVIRONMENT = "LIGHTNODE_RIG"
ERASE_STEPS = 16
SCRIPT = f"""
import asyncio.core, json, os, sys, time
from lightnode import app, board_unix

poll, skipped = asyncio.core.IOQueue.wait_io_event, 0

def ready_first(queue, wait_ms):
    global skipped
    if not wait_ms and skipped < 16:
        skipped += 1
        return
    skipped = 0
    poll(queue, wait_ms)

def write_through(flash, block, data, offset=0):
    flash._file.seek(block * board_unix.SECTOR + offset)
    flash._file.write(data)

asyncio.core.IOQueue.wait_io_event = ready_first
board_unix.FileFlash.writeblocks = write_through
wanted = json.loads(os.getenv("{ENVIRONMENT}") or "{{}}")
left = wanted.get("cut_after", 1 << 60)
program_ms, erase_ms = wanted.get("program_ms", 0), wanted.get("erase_ms", 0)

class Flash:
    def __init__(self, flash):
        self.flash = flash

    def readblocks(self, block, buffer, offset=0):
        self.flash.readblocks(block, buffer, offset)

    def writeblocks(self, block, data, offset=0):
        time.sleep_ms(program_ms * ((offset + len(data) + 255) // 256 - offset // 256))
        self.spend(len(data), lambda done: self.flash.writeblocks(block, data[:done], offset))
        self.flash.writeblocks(block, data, offset)

    def ioctl(self, operation, argument):
        if operation == 6:
            time.sleep_ms(erase_ms)
            self.spend({ERASE_STEPS}, lambda done: self.flash.writeblocks(argument, b"\\xff" * (256 * done)))
        return self.flash.ioctl(operation, argument)

    def spend(self, steps, part):
        global left
        left -= steps
        if left < 0:
            part(left + steps)
            os.system("kill -9 $PPID")

if wanted:
    open_flash = board_unix.open_flash
    board_unix.open_flash = lambda path, size: Flash(open_flash(path, size))
    app._CONDUCTED_PATIENCE = wanted.get("patience", app._CONDUCTED_PATIENCE)
sys.exit(app.main(sys.argv[1:]))
"""


def launcher(folder: Path) -> Path:
    """The script in this folder; it takes the application's own arguments."""
    path = folder / "start.py"
    path.write_text(SCRIPT)
    return path


def environment(**faults: int) -> dict[str, str]:
    """What the script is told: `cut_after`, `program_ms`, `erase_ms`, `patience`."""
    return {ENVIRONMENT: json.dumps(faults)} if faults else {}
