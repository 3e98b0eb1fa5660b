"""lightnode-hil ems: an energy manager at a light node's register map."""

import argparse
import json
import sys
import time

from hil.ems import EmsError, EnergyManager, over_serial, over_tcp

EXAMPLE = "example: lightnode-hil ems --tcp 127.0.0.1:1502"
_STATES = ("none", "pending", "in force", "fallback", "stale", "local switch", "emergency stop")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--tcp", metavar="HOST:PORT", type=_address, help="the node's ems.listen")
    where.add_argument("--serial", metavar="PORT", help="a serial port to the node's ems.serial")
    parser.add_argument("--baud", type=int, default=9600, help="the node's ems.baud (default 9600)")
    parser.add_argument("--parity", choices=("N", "E", "O"), default="N", help="the node's ems.parity (default N)")
    parser.add_argument("--stop-bits", type=int, choices=(1, 2), default=1, help="the node's ems.stop_bits (default 1)")
    parser.add_argument("--unit", type=int, default=1, help="the node's ems.unit (default 1)")
    parser.add_argument("--free", metavar="W", type=int, default=0, help="what it draws without a command (default 0)")
    parser.add_argument("--stop", action="store_true", help="its emergency stop is on")
    parser.add_argument("--local", action="store_true", help="its local switch is on")
    parser.add_argument("--seconds", type=float, help="ends after so many seconds")
    parser.add_argument("--json", action="store_true", help="print each line as a JSON object")


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is no HOST:PORT")
    return host, int(port)


def run(options: argparse.Namespace) -> int:
    """3 if the node cannot be reached at the start; afterwards it goes on trying."""
    try:
        ems = (
            over_tcp(options.tcp[0], options.tcp[1], options.unit)
            if options.tcp
            else over_serial(options.serial, options.unit, (options.baud, options.parity, options.stop_bits))
        )
    except EmsError as error:
        print(f"lightnode-hil: {error}", file=sys.stderr)
        return 3
    ems.free_w, ems.emergency_stop, ems.local_switch = options.free, options.stop, options.local
    end = time.monotonic() + options.seconds if options.seconds is not None else float("inf")
    last: object = None
    while time.monotonic() < end:
        now = _seen(ems)
        if now != last:
            print(json.dumps(now) if options.json else _line(now), flush=True)
            last = now
        time.sleep(max(0.0, min(1.0, end - time.monotonic())))
    ems.close()
    return 0


def _seen(ems: EnergyManager) -> dict[str, object]:
    try:
        block = ems.follow()
    except EmsError as error:
        return {"error": str(error)}
    names = (
        "clock",
        "state",
        "command",
        "control",
        "value",
        "target_w",
        "max_withdrawal_w",
        "max_injection_w",
        "silent",
    )
    return {**{name: block[name] for name in names}, "said": ems.said["state"], "power_w": ems.said["measured_w"]}


def _line(seen: dict[str, object]) -> str:
    if "error" in seen:
        return str(seen["error"])
    state = seen["state"]
    name = _STATES[state] if isinstance(state, int) and state < len(_STATES) else state
    rest = " ".join(f"{key}={value}" for key, value in seen.items() if key != "state" and value is not None)
    return f"{name}: {rest}"
