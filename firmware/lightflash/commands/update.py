"""lightnode-flash update: a signed release into a device, over its cable or over its broker. The device decides.

Exit codes beyond the common ones: 1 also for a release that was rolled back; 4 if its outcome is not known yet.
"""

import argparse
import hashlib
import json
import sys
from collections.abc import Callable
from pathlib import Path

from lightflash import by_air, by_cable
from lightflash.errors import FlashError
from lightflash.link import Refused
from lightflash.offer import Offer, offer
from lightflash.progress import Progress
from lightflash.work import LOG, Work, work

EXAMPLE = """\
example: ./run flash update --build build/esp32-s3 --port /dev/ttyACM0
         ./run flash update --build build/esp32-s3 --broker broker.example:8883 --ca ca.pem --cert backend.pem \\
           --key backend.key --deployment 00112233445566778899aabbccddeeff --device-key 02f9...36f9"""
_STEP = "update"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The release, and the way to the device."""
    parser.add_argument("--build", type=Path, required=True, help="what `build --sign` made")
    parser.add_argument("--port", default="", help="over the cable: the device's serial port")
    parser.add_argument("--broker", default="", metavar="HOST:PORT", help="over the air: the device's broker")
    parser.add_argument("--ca", type=Path, help="authority of the broker (PEM)")
    parser.add_argument("--cert", type=Path, help="certificate of the back end at the broker (PEM)")
    parser.add_argument("--key", type=Path, help="key of that certificate (PEM file)")
    parser.add_argument("--deployment", type=_octets(16), help="the device's, 32 hexadecimal digits")
    parser.add_argument("--device-key", type=_octets(33), help="public key that the device signs with: 66 digits")
    parser.add_argument("--device", type=_octets(8), help="its id; may be left out while its first key signs")
    parser.add_argument("--wait", type=float, default=900.0, metavar="SECONDS", help="for the outcome (default 900)")
    parser.add_argument("--log", type=Path, default=LOG, help="folder of what was done (default service-log)")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(options: argparse.Namespace) -> int:
    """0 when the device runs the release and has committed it."""
    if bool(options.port) == bool(options.broker):
        raise FlashError(_STEP, "either --port or --broker says how to reach the device", "give one of them")
    wanted = offer(options.build)
    name = options.port or options.broker
    progress = Progress(sys.stderr, [name], sys.stderr.isatty())
    with work(options.log, _STEP, name) as job:
        if options.port:
            outcome = by_cable.bring(
                options.port, wanted, job, lambda step, at, of: progress.tell(name, step, at, of), options.wait
            )
        else:
            outcome = _over_the_air(options, wanted, job, progress)
        device = job.device
    if options.json:
        print(json.dumps({"device": device, "sequence": wanted.manifest.sequence, "outcome": outcome}))
    else:
        print(f"{device} ({name}): {wanted.text}: {outcome}")
    return 0


def _over_the_air(options: argparse.Namespace, wanted: Offer, job: Work, progress: Progress) -> str:
    needed = {
        name: getattr(options, name.replace("-", "_")) for name in ("ca", "cert", "key", "deployment", "device-key")
    }
    if missing := [f"--{name}" for name, value in needed.items() if value is None]:
        raise FlashError(_STEP, f"{', '.join(missing)} is missing", "give it: the report is verified with it")
    host, _, port = options.broker.rpartition(":")
    if not host or not port.isdigit() or not 0 < int(port) < 65536:
        raise FlashError(_STEP, f"--broker is {options.broker!r}", "give HOST:PORT")
    first = hashlib.sha256(options.device_key).digest()[:8]
    device = by_air.Device(options.device or first, options.device_key, options.deployment)
    job.meets(device.id.hex())
    digest = wanted.digest.hex()
    was_begun = digest in (job.wanted, job.before)
    broker = by_air.Broker(host, int(port), options.ca, options.cert, options.key)
    tell = lambda step, at, of: progress.tell(options.broker, step, at, of)  # noqa: E731
    with by_air.Session(broker, device, wanted, tell) as session:
        job.begin(digest)
        report = session.outcome(options.wait)
        session.forget()
    try:
        outcome = by_air.check(report, was_begun)
    except Refused:
        job.give_up()
        raise
    job.end(digest)
    return outcome


def _octets(length: int) -> Callable[[str], bytes]:
    def parse(text: str) -> bytes:
        digits = text.lower()
        if len(digits) != 2 * length or any(c not in "0123456789abcdef" for c in digits):
            raise argparse.ArgumentTypeError(f"{2 * length} hexadecimal digits belong here")
        return bytes.fromhex(digits)

    return parse
