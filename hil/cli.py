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
from hil.mcu.toolchain import ToolchainMissing
from hil.meters.command import EXAMPLE, run
from hil.meters.command import add_arguments as add_meter_arguments
from hil.nodes import NodeFailed
from hil.runtime import RuntimePartMissing, micropython_command, mosquitto_command
from hil.targets.target import TargetError


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
    commands.add_parser("image", help="builds the emulated chip's image if needed and prints where it is")
    budget = commands.add_parser(
        "budget", help="instructions, heap and sizes on the emulated chip", epilog="example: ./run hil budget"
    )
    budget.add_argument("--accept", action="store_true", help="write the figures into the ratchet, hil/budget.json")
    budget.add_argument("--json", action="store_true", help="print the figures as one JSON object")
    meter = commands.add_parser(
        "meter", help="an emulated meter", epilog=EXAMPLE, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_meter_arguments(meter)
    options = parser.parse_args(arguments)
    if options.command == "meter":
        return run(options)
    signal.signal(signal.SIGTERM, lambda _number, _frame: sys.exit(143))
    try:
        if options.command == "image":
            return _image()
        if options.command == "budget":
            return _budget(options.accept, options.json)
        return _demo(options_of(options), options.json)
    except (RuntimePartMissing, ToolchainMissing, BrokerUnavailable, Unavailable) as error:
        print(f"lightnode-hil: {error}", file=sys.stderr)
        return 3
    except (BenchError, NodeFailed, BackendError, TargetError, OSError) as error:
        print(f"lightnode-hil: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("lightnode-hil: stopped", file=sys.stderr)
        return 130


def _image() -> int:
    from hil.mcu.image import image

    print(image().path)
    return 0


def _budget(accept: bool, as_json: bool) -> int:
    from hil import budget

    rows = budget.compare(budget.measure(), budget.read_ratchet())
    if accept:
        budget.accept(rows)
    print(json.dumps({row.name: row.now for row in rows}) if as_json else budget.table(rows))
    grown = [row for row in rows if row.has_grown]
    if accept or not grown:
        return 0
    if reason := budget.not_comparable():
        print(f"lightnode-hil: nothing is compared: {reason}", file=sys.stderr)
        return 0
    for row in grown:
        print(f"lightnode-hil: {row}", file=sys.stderr)
    print("lightnode-hil: if this is wanted, './run hil budget --accept' and say why in the commit", file=sys.stderr)
    return 1


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
