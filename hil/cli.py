"""lightnode-hil: the rig. Exit codes: 0 done, 1 failed with its reason, 2 wrong usage, 3 an outside party is missing."""

import argparse
import json
import signal
import sys
from dataclasses import asdict

from backend.errors import BackendError, Unavailable
from hil.bench import BenchError
from hil.broker import BrokerUnavailable
from hil.demo.options import Options, add_arguments, options_of
from hil.fleet.options import FleetOptions
from hil.fleet.options import add_arguments as add_fleet_arguments
from hil.fleet.options import options_of as fleet_options_of
from hil.fleet.run import Fleet, FleetFailed
from hil.meters.command import EXAMPLE, run
from hil.meters.command import add_arguments as add_meter_arguments
from hil.nodes import NodeFailed
from hil.runtime import RuntimePartMissing, micropython_command, mosquitto_command


def main(arguments: list[str] | None = None) -> int:
    """Parses, calls, prints."""
    parser = argparse.ArgumentParser(
        prog="lightnode-hil", description="The rig.", epilog="example: lightnode-hil demo --speed 200"
    )
    commands = parser.add_subparsers(dest="command", required=True)
    demo = commands.add_parser(
        "demo", help="a market day, from the meters to the payments", epilog="example: ./run demo --out demo-output"
    )
    add_arguments(demo)
    demo.add_argument("--json", action="store_true", help="print the summary as one JSON object")
    meter = commands.add_parser(
        "meter", help="an emulated meter", epilog=EXAMPLE, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_meter_arguments(meter)
    fleet = commands.add_parser(
        "fleet",
        help="many light nodes against a broker and a back end, every produced line accounted for",
        epilog="example: lightnode-hil fleet --nodes 1000 --minutes 5 --speed 10 --storm sessions@1 --storm reboot@3",
    )
    add_fleet_arguments(fleet)
    fleet.add_argument("--json", action="store_true", help="print the summary as one JSON object")
    options = parser.parse_args(arguments)
    if options.command == "meter":
        return run(options)
    signal.signal(signal.SIGTERM, lambda _number, _frame: sys.exit(143))
    try:
        if options.command == "fleet":
            return _fleet(_fleet_options(fleet, options), options.json)
        return _demo(options_of(options), options.json)
    except (RuntimePartMissing, BrokerUnavailable, Unavailable) as error:
        print(f"lightnode-hil: {error}", file=sys.stderr)
        return 3
    except (BenchError, NodeFailed, FleetFailed, BackendError, OSError) as error:
        print(f"lightnode-hil: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("lightnode-hil: stopped", file=sys.stderr)
        return 130


def _fleet_options(parser: argparse.ArgumentParser, parsed: argparse.Namespace) -> FleetOptions:
    try:
        return fleet_options_of(parsed)
    except argparse.ArgumentTypeError as error:
        parser.error(str(error))


def _fleet(options: FleetOptions, as_json: bool) -> int:
    mosquitto_command()
    summary = Fleet(options, lambda what: print(what, file=sys.stderr, flush=True)).run()
    if as_json:
        print(json.dumps(summary))
    else:
        for name, value in summary.items():
            print(f"{name:32} {value}")
    return 0 if summary["balanced"] else 1


def _demo(options: Options, as_json: bool) -> int:
    from hil.demo.play import play
    from hil.demo.report import write_report
    from hil.demo.story import Story

    micropython_command(), mosquitto_command()
    live, last = sys.stderr.isatty(), ""

    def progress(what: str) -> None:
        nonlocal last
        if what == last:
            return
        last = what
        if live:
            print(f"\r\x1b[K{what}", end="", file=sys.stderr, flush=True)
        elif not what.startswith("live: ") or what.endswith("0 %"):
            print(what, file=sys.stderr, flush=True)

    def finish(story: Story) -> None:
        (options.out / "summary.json").write_text(json.dumps(story.summary, indent=1) + "\n")
        (options.out / "story.json").write_text(json.dumps(asdict(story), default=str) + "\n")
        write_report(story, options.out / "report.html")
        if live:
            print(file=sys.stderr)
        if as_json:
            print(json.dumps(story.summary), flush=True)
            return
        for name, value in story.summary.items():
            print(f"{name:32} {value}")
        print(f"report: {options.out / 'report.html'}", flush=True)

    broken = [proof for proof in play(options, progress, finish).proofs if not proof.holds]
    for proof in broken:
        print(f"lightnode-hil: does not hold: {proof.claim}: {proof.figure}", file=sys.stderr)
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
