"""lightnode-agent: enrol, run, check. Exit codes: 0 done, 1 refused, 2 wrong usage, 3 an outside party is unavailable."""

import argparse
import json
import logging
import signal
import sys
import time
from pathlib import Path

from edge_agent.agent import Agent
from edge_agent.clock import run_conducted, run_on_system_time
from edge_agent.ems import EmsUnavailable
from edge_agent.ems_modbus import ModbusEms
from edge_agent.holder import Holder
from edge_agent.keys import AgentKey
from edge_agent.link import Link, LinkUnavailable
from edge_agent.settings import Settings, SettingsError, load


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="lightnode-agent",
        description="Takes accepted set-points from the light node to the customer's energy manager.",
        epilog="example: lightnode-agent run --config agent.toml",
    )
    commands = parser.add_subparsers(dest="command", required=True)
    for name, text in (
        ("enrol", "make the agent's key, print its enrolment"),
        ("run", "serve until stopped"),
        ("check", "read the energy manager once"),
    ):
        command = commands.add_parser(name, help=text)
        command.add_argument("--config", type=Path, required=True, help="agent.toml")
        if name == "enrol":
            command.add_argument("nonce", help="32 hexadecimal digits from the operator")
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Parses, calls, prints."""
    options = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(name)s: %(message)s", stream=sys.stderr)
    try:
        settings = load(options.config)
        if options.command == "enrol":
            return _enrol(settings, options.nonce)
        if options.command == "check":
            return _check(settings)
        return _run(settings)
    except SettingsError as error:
        print(f"lightnode-agent: {error}", file=sys.stderr)
        return 1
    except (LinkUnavailable, EmsUnavailable, OSError) as error:
        print(f"lightnode-agent: {error}", file=sys.stderr)
        return 3


def _enrol(settings: Settings, nonce: str) -> int:
    try:
        octets = bytes.fromhex(nonce)
    except ValueError:
        octets = b""
    if len(octets) != 16:
        print(f"lightnode-agent: nonce {nonce!r}: 32 hexadecimal digits belong here", file=sys.stderr)
        return 2
    key = AgentKey(settings.state_dir)
    sealed = key.enrolment(settings.deployment, octets, time.time_ns() // 1_000_000)
    print(json.dumps({"device": key.id.hex(), "public_key": key.public.hex(), "enrolment": sealed.hex()}))
    return 0


def _check(settings: Settings) -> int:
    state = ModbusEms(settings.ems_host, settings.ems_port, settings.ems_unit).read()
    print(json.dumps({"pod_w": state.pod_w, "der_w": state.der_w}))
    return 0


def _run(settings: Settings) -> int:
    stopped: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _frame: sys.exit(0))
    key = AgentKey(settings.state_dir)
    link = Link(settings)
    ems = ModbusEms(settings.ems_host, settings.ems_port, settings.ems_unit)
    agent = Agent(settings, key, Holder(settings), link, ems)
    link.start()
    try:
        if settings.conductor:
            run_conducted(settings.conductor, f"agent/{settings.device.hex()}", agent.step)
        else:
            run_on_system_time(agent.step, lambda: bool(stopped))
    finally:
        link.stop()
    return 0
