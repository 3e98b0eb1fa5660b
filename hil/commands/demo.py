"""lightnode-hil demo: a market day, from the meters to the payments."""

import argparse
import json
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from hil.demo.options import add_arguments as add_demo_arguments
from hil.demo.options import options_of
from hil.demo.play import play
from hil.demo.report import write_report
from hil.demo.story import Story
from hil.runtime import micropython_command, mosquitto_command

EXAMPLE = "example: ./run demo --speed 200 --out demo-output"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    add_demo_arguments(parser)
    parser.add_argument("--json", action="store_true", help="print the summary as one JSON object")


def run(options: argparse.Namespace) -> int:
    """0 if every claim of the report holds, else 1."""
    micropython_command(), mosquitto_command()
    chosen = options_of(options)
    story = play(chosen, progress(), lambda told: _finish(chosen.out, told, options.json))
    broken = [proof for proof in story.proofs if not proof.holds]
    for proof in broken:
        print(f"lightnode-hil: does not hold: {proof.claim}: {proof.figure}", file=sys.stderr)
    return 1 if broken else 0


def progress() -> Callable[[str], None]:
    """Shows what is being done: in place on a terminal, in few lines elsewhere."""
    live, last = sys.stderr.isatty(), ""

    def show(what: str) -> None:
        nonlocal last
        if what == last:
            return
        last = what
        if live:
            print(f"\r\x1b[K{what}", end="", file=sys.stderr, flush=True)
        elif not what.startswith("live: ") or what.endswith("0 %"):
            print(what, file=sys.stderr, flush=True)

    return show


def _finish(out: Path, story: Story, as_json: bool) -> None:
    (out / "summary.json").write_text(json.dumps(story.summary, indent=1) + "\n")
    (out / "story.json").write_text(json.dumps(asdict(story), default=str) + "\n")
    write_report(story, out / "report.html")
    if sys.stderr.isatty():
        print(file=sys.stderr)
    if as_json:
        print(json.dumps(story.summary), flush=True)
        return
    for name, value in story.summary.items():
        print(f"{name:32} {value}")
    print(f"report: {out / 'report.html'}", flush=True)
