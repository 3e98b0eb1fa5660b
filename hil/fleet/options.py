"""What a fleet may be told on its command line."""

import argparse
from dataclasses import dataclass
from pathlib import Path

from hil.argument import whole_number

STORMS = ("sessions", "reboot", "broker", "backend")


@dataclass(frozen=True, slots=True)
class Storm:
    """What breaks for everybody at once, and when: ms after the start, virtual."""

    kind: str
    after_ms: int


@dataclass(frozen=True, slots=True)
class FleetOptions:
    """nodes; speed: virtual seconds per wall second, None as fast as it goes; minutes of load, virtual; workers: processes."""

    nodes: int
    speed: float | None
    minutes: float
    seed: str
    out: Path
    workers: int
    storms: tuple[Storm, ...]
    broker: "GivenBroker | None" = None


@dataclass(frozen=True, slots=True)
class GivenBroker:
    """A broker that runs already, and the folder of the authority (ca.pem, ca.key.pem) that its clients are issued by."""

    host: str
    port: int
    authority: Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The fleet's options."""
    parser.add_argument("--nodes", type=whole_number(1, 20_000), default=1000, help="light nodes (default 1000)")
    parser.add_argument("--speed", type=_speed, default=1.0, help="virtual seconds per second, or 'max' (default 1)")
    parser.add_argument("--minutes", type=_minutes, default=5.0, help="virtual minutes of load, to 720 (default 5)")
    parser.add_argument("--seed", default="1", help="of keys and loads (default 1)")
    parser.add_argument(
        "--out", type=Path, default=Path("fleet-output"), help="folder of the run (default fleet-output)"
    )
    parser.add_argument("--workers", type=whole_number(1, 64), default=2, help="processes (default 2)")
    parser.add_argument(
        "--storm",
        type=_storm,
        action="append",
        default=[],
        metavar="KIND@MINUTE",
        help="sessions (all broken at once), reboot (all lose power), broker or backend (kill -9 and start); repeatable",
    )
    parser.add_argument(
        "--broker", type=_address, metavar="HOST:PORT", help="a broker that runs already, with --authority"
    )
    parser.add_argument(
        "--authority", type=Path, help="folder with ca.pem and ca.key.pem, to issue certificates for it"
    )


def options_of(parsed: argparse.Namespace) -> FleetOptions:
    """Checked options; storms in order of time. ArgumentTypeError for what does not go together."""
    if (parsed.broker is None) != (parsed.authority is None):
        raise argparse.ArgumentTypeError("--broker and --authority go together")
    if parsed.broker is not None and any(storm.kind == "broker" for storm in parsed.storm):
        raise argparse.ArgumentTypeError("--storm broker: only a broker of the fleet's own can be killed")
    given = None
    if parsed.broker is not None:
        host, port = parsed.broker
        given = GivenBroker(host, port, parsed.authority)
    storms = tuple(sorted(parsed.storm, key=lambda storm: storm.after_ms))
    workers = min(parsed.workers, parsed.nodes)
    return FleetOptions(parsed.nodes, parsed.speed, parsed.minutes, parsed.seed, parsed.out, workers, storms, given)


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not host or not port.isdigit() or not 0 < int(port) < 65536:
        raise argparse.ArgumentTypeError(f"{text}: HOST:PORT belongs here")
    return host, int(port)


def _speed(text: str) -> float | None:
    return None if text == "max" else _between(text, 0.1, 10_000)


def _minutes(text: str) -> float:
    return _between(text, 0.1, 720)


def _between(text: str, low: float, high: float) -> float:
    try:
        value = float(text)
    except ValueError:
        value = low - 1
    if not low <= value <= high:
        raise argparse.ArgumentTypeError(f"{text}: a number from {low} to {high}")
    return value


def _storm(text: str) -> Storm:
    kind, _, minute = text.partition("@")
    if kind not in STORMS or not minute:
        raise argparse.ArgumentTypeError(f"{text}: KIND@MINUTE with a kind of {', '.join(STORMS)}")
    return Storm(kind, int(_between(minute, 0, 720) * 60_000))
