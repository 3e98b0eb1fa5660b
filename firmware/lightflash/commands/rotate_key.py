"""lightnode-flash rotate-key: the device makes its next signing key and states it; the register takes the statement.

1. The statement answers the operator's nonce, is signed by the key before it, and is checked here before it is kept. The
   nonce is given, or it is one of a kit, where there is no network: then `sync` brings the statement into the register.
2. It is in its file, or the outbox, before the command ends. The same command again - after a pulled cable, or because it was not sure -
   gives the statement of the same key, never a further one.
3. The device goes on under the key before it until it starts again: only with --restart, when the register has the new one.
"""

import argparse
import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lightwire import envelope, records
from lightwire.errors import WireError

from lightflash.errors import FlashError
from lightflash.key import is_signed
from lightflash.kit import Kit, open_kit
from lightflash.link import START_S, Link
from lightflash.outbox import Outbox
from lightflash.rotation import FORMAT, InFile, InOutbox, Place
from lightflash.work import LOG, Work, work

EXAMPLE = """\
example: ./run flash rotate-key --port /dev/ttyACM0 --nonce 00112233445566778899aabbccddeeff --out rotation.json
         ./run flash rotate-key --port /dev/ttyACM0 --nonce 00112233445566778899aabbccddeeff --out rotation.json --restart
         ./run flash rotate-key --port /dev/ttyACM0 --kit kit.json"""
_STEP = "rotate-key"
_SIGNS_S = 60.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Where it is, the nonce, where the statement goes."""
    parser.add_argument("--port", required=True, help="the device's port: a serial port, or socket://HOST:PORT")
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--nonce", type=_nonce, help="the operator's (`lightnode nodes nonce`), 32 hexadecimal digits")
    source.add_argument("--kit", type=Path, help="instead: the operator's kit; the statement goes into the outbox")
    parser.add_argument("--out", type=Path, metavar="FILE", help="with --nonce: the statement, for the register")
    parser.add_argument("--outbox", type=Path, default=Path("outbox"), help="with --kit (default outbox)")
    parser.add_argument("--pod", default="", help="with --kit: the device's POD, if the outbox does not know it")
    parser.add_argument(
        "--restart", action="store_true", help="the register has it: let the device sign with the new key"
    )
    parser.add_argument("--log", type=Path, default=LOG, help="folder of what was done (default service-log)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(options: argparse.Namespace) -> int:
    """0 when the statement is in its file, and with --restart when the device signs with the key in it."""
    kit = open_kit(options.kit) if options.kit else None
    if kit is None and options.out is None:
        raise FlashError(_STEP, "it is not said where the statement goes", "give --out FILE with --nonce")
    with Link(options.port) as link, work(options.log, _STEP, options.port) as job:
        present = link.ask("key")
        job.meets(present["device"])
        place = _place(options, kit, present)
        statement = place.kept()
        if statement is None:
            if options.restart:
                raise FlashError(_STEP, f"{place.name} is not there", "first without --restart, then to the register")
            statement = _stated(link, job, place.nonce, present)
            place.keep(statement)
        generation = int(statement["generation"])
        if options.restart and present["generation"] < generation:
            link.write(b"\rrestart\r")
            present = link.until("key", lambda said: said["generation"] >= generation, START_S)
        job.end(str(generation))
    told = {**statement, "running": present["generation"], "file": place.name}
    if options.json:
        print(json.dumps(told))
    else:
        state = "signs" if present["generation"] >= generation else "signs after --restart"
        print(f"{link.device} ({options.port}): generation {generation} {state}, its statement is in {place.name}")
    return 0


def checked(said: Mapping[str, Any], nonce: str, present: Mapping[str, Any]) -> dict[str, Any]:
    """The statement in a device's answer (rule 1); present: what it says to `key`. FlashError if any of it does not hold."""
    try:
        sealed, deployment, signer = (bytes.fromhex(said[name]) for name in ("enrolment", "deployment", "signed_by"))
        record = envelope.open_sealed(
            sealed, deployment, lambda digest, signature: is_signed(signer, digest, signature)
        )
        if not isinstance(record, records.Enrolment):
            raise _wrong("it is no enrolment")
    except (WireError, ValueError, KeyError, TypeError) as error:
        raise _wrong("its signature does not hold") from error
    if record.device.hex() != present["device"] or record.nonce.hex() != nonce:
        raise _wrong("it is of another device or answers another nonce")
    if record.generation != present["generation"] + (record.public_key.hex() != present["public_key"]):
        raise _wrong(f"it is of generation {record.generation}, the device runs {present['generation']}")
    if record.generation == present["generation"] + 1 and signer.hex() != present["public_key"]:
        raise _wrong("another key than the device's has signed it")
    return {
        "format": FORMAT, "device": record.device.hex(), "generation": record.generation, "nonce": nonce,
        "public_key": record.public_key.hex(), "deployment": deployment.hex(), "enrolment": sealed.hex(),
    }  # fmt: skip


def _place(options: argparse.Namespace, kit: Kit | None, present: Mapping[str, Any]) -> Place:
    if kit is None:
        return InFile(options.out, options.nonce, present["device"])
    place = InOutbox(Outbox(options.outbox), kit, options.pod, present, options.restart)
    place.check(time.time_ns() // 1_000_000)
    return place


def _stated(link: Link, job: Work, nonce: str, present: Mapping[str, Any]) -> dict[str, Any]:
    job.begin(nonce)
    said = link.ask("rotate", nonce, timeout_s=_SIGNS_S)
    return checked(said, nonce, present)


def _nonce(text: str) -> str:
    if len(text) != 32 or not all(c in "0123456789abcdef" for c in text):
        raise argparse.ArgumentTypeError("32 hexadecimal digits in small letters belong here")
    return text


def _wrong(cause: str) -> FlashError:
    return FlashError(_STEP, f"the device's statement is refused: {cause}", "is this the device? read its console")
