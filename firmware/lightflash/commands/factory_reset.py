"""lightnode-flash factory-reset: a device for another site. Its keys, numbers and application stay, all of the site goes.

1. The device's id has to be given: it is the confirmation, and the device compares it itself.
2. It measures nothing more and hands over what it holds. What the back end has then not signed for is not lost, the command
   is refused with the number, unless --lose-readings.
3. The application is stopped for it. Until the settings go, which is last, a repeat does everything again.
4. A board of which the log says that this was begun, and that has no settings any more, is done.
"""

import argparse
import json
import time
from pathlib import Path

from lightflash.link import Link, Refused
from lightflash.micropython import MicroPython
from lightflash.prompt import CONFIG, Prompt, prompt
from lightflash.work import LOG, Work, work

EXAMPLE = "example: ./run flash factory-reset --port /dev/ttyACM0 --device 0123456789abcdef"
_STEP = "factory-reset"
_CONNECTS_S = 30.0  # a device that has just started
_STOPPED = "stopped"  # begun, while no board is known yet
_LOSE = "let it reach its broker, or lose them with --lose-readings"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Where it is, which it is, what may be lost."""
    parser.add_argument("--port", required=True, help="the device's serial port")
    parser.add_argument(
        "--device", type=_device, required=True, help="its id, as the confirmation: 16 hexadecimal digits"
    )
    parser.add_argument("--lose-readings", action="store_true", help="also what the back end has not signed for")
    parser.add_argument("--wait", type=float, default=150.0, metavar="SECONDS", help="for the back end (default 150)")
    parser.add_argument("--log", type=Path, default=LOG, help="folder of what was done (default service-log)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(options: argparse.Namespace) -> int:
    """0 when nothing of the site is on the device any more."""
    with work(options.log, _STEP, options.port) as job:
        job.meets(options.device)
        _drain(job, options)
        transport = MicroPython(lambda: options.port)
        with prompt(transport, _STEP) as at:
            board = transport.identify().unique_id or "-"
            if board in (job.wanted, job.before) and not transport.hashes([CONFIG]):
                found: dict[str, object] = {"device": options.device, "lost": 0, "removed": []}  # rule 4
            else:
                job.begin(board)
                found = _forgotten(at, job, options)
        job.end(board)
    if options.json:
        print(json.dumps(found))
    else:
        lost = f", {found['lost']} records that nobody had signed for are lost" if found["lost"] else ""
        print(f"{options.device} ({options.port}): of its site nothing is left{lost}; enrol it for the next one")
    return 0


def _drain(job: Work, options: argparse.Namespace) -> None:
    """Rule 2, while it still works. A device that does not answer is asked at its prompt."""
    with Link(options.port) as link:
        key = link.found()
        if key is not None and key["device"] != options.device:
            cure = "give the id of the device that is meant"
            raise Refused(_STEP, f"this is device {key['device']}", cure, device=str(key["device"]))
        if key is None:
            return
        job.begin(job.wanted or job.before or _STOPPED)
        if options.lose_readings or not link.ask("status")["pending"]:
            return
        link.ask("pause")
        begin = time.monotonic()
        while pending := link.ask("status")["pending"]:
            waited_s = time.monotonic() - begin
            if waited_s > options.wait or (waited_s > _CONNECTS_S and not link.ask("network")["connected"]):
                link.write(b"\rrestart\r")  # it measures again
                job.give_up()
                raise Refused(_STEP, f"{pending} records are not acknowledged by the back end", _LOSE)
            time.sleep(0.5)


def _forgotten(at: Prompt, job: Work, options: argparse.Namespace) -> dict[str, object]:
    to_lose = bool(options.lose_readings)
    try:
        return dict(at.call(f"cable.forget({CONFIG!r}, {options.device!r}, {to_lose!r}, _feed)"))
    except Refused as refusal:
        job.give_up()
        raise Refused(_STEP, refusal.cause, _LOSE if "not acknowledged" in refusal.cause else "") from refusal


def _device(text: str) -> str:
    if len(text) != 16 or not all(c in "0123456789abcdef" for c in text):
        raise argparse.ArgumentTypeError("16 hexadecimal digits in small letters belong here")
    return text
