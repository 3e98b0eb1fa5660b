"""lightnode-agent: takes accepted set-points from the light node to the energy manager.

exit codes: 0 done, 1 refused or not valid (one line says why), 2 wrong usage, 3 an outside party cannot be reached
"""

import argparse
import hashlib
import json
import logging
import re
import signal
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from lightwire import decision, envelope, records

from edge_agent.agent import NAMES, Agent, trust_of
from edge_agent.errors import AgentError, Unreachable
from edge_agent.keys import AgentKey, make_key, open_key
from edge_agent.log import Log
from edge_agent.settings import Settings, load
from edge_agent.state import open_state

_EXAMPLE = """example:
  lightnode-agent enrol --config agent.toml 000102030405060708090a0b0c0d0e0f
  lightnode-agent check --config agent.toml
  lightnode-agent run --config agent.toml"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command; the exit code."""
    words = _parser().parse_args(arguments)
    logging.getLogger("pymodbus").setLevel(logging.CRITICAL + 1)  # it prints frames, and lines that are no JSON
    try:
        settings = load(words.config)
        if words.command == "enrol":
            print(json.dumps(enrol(settings, words.nonce)))
        elif words.command == "check":
            _print(check(settings), words.json)
        elif words.command == "show":
            _print(show(settings, words.at if words.at is not None else time.time_ns() // 1_000_000), words.json)
        else:
            run(settings)
    except Unreachable as error:
        print(f"lightnode-agent: {error.party}: {error}", file=sys.stderr)
        return 3
    except AgentError as error:
        print(f"lightnode-agent: {error}", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    shape = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser("lightnode-agent", description=__doc__, epilog=_EXAMPLE, formatter_class=shape)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    texts = {
        "enrol": "makes the agent's key if there is none and prints its enrolment as one JSON line",
        "run": "works until it is stopped; events as JSON lines on standard error",
        "check": "checks settings, keys, certificates and asks the energy manager",
        "show": "what the agent holds and what rules now",
    }
    for name, text in texts.items():
        command = commands.add_parser(name, help=text, description=text, epilog=_EXAMPLE, formatter_class=shape)
        command.add_argument("--config", type=Path, required=True, metavar="FILE", help="agent.toml")
        command.add_argument("--json", action="store_true", help="one JSON object on standard output")
        if name == "enrol":
            command.add_argument("nonce", type=_nonce, metavar="NONCE", help="32 hexadecimal digits from the back end")
        if name == "show":
            command.add_argument("--at", type=int, metavar="UTC_MS", help="instead of now")
    return parser


def _nonce(text: str) -> bytes:
    if not re.fullmatch("[0-9a-fA-F]{32}", text):
        raise argparse.ArgumentTypeError(f"{text!r} is no nonce, 32 hexadecimal digits from the back end belong here")
    return bytes.fromhex(text)


def _print(document: dict[str, object], as_json: bool) -> None:
    if as_json:
        print(json.dumps(document))
        return
    for key, value in document.items():
        for line in value if isinstance(value, list) else [value]:
            print(f"{key}: {json.dumps(line) if isinstance(line, dict) else line}")


def enrol(settings: Settings, nonce: bytes) -> dict[str, object]:
    """The agent introduces its key, signed by itself; the back end compares the nonce."""
    key = make_key(settings.key_file)
    enrolment = records.Enrolment(
        device=key.agent,
        generation=1,
        algorithm=records.ES256K,
        public_key=key.public,
        tls_fingerprint=_fingerprint(settings.broker.cert),
        nonce=nonce,
        time_ms=time.time_ns() // 1_000_000,
        level=records.LEVEL_FILE,
    )
    sealed = envelope.seal(enrolment, settings.deployment, key.sign)
    return {"device": key.agent.hex(), "public_key": key.public.hex(), "enrolment": sealed.hex()}


def _fingerprint(cert: Path) -> bytes:
    """SHA-256 of the public key in the client certificate (DER SubjectPublicKeyInfo); zeros while there is none."""
    try:
        key = x509.load_pem_x509_certificate(cert.read_bytes()).public_key()
    except (OSError, ValueError):
        return bytes(32)
    return hashlib.sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).digest()


def check(settings: Settings) -> dict[str, object]:
    """Everything `run` needs, tried once. AgentError, Unreachable."""
    from edge_agent.ems_modbus import ModbusEms
    from edge_agent.link import tls_context

    key = open_key(settings.key_file)
    state = open_state(settings.state_dir, trust_of(settings))
    tls_context(settings.broker)
    ems = ModbusEms(settings.ems)
    bounds = ems.bounds()
    ems.close()
    return {
        "agent": key.agent.hex(),
        "device": settings.device.hex(),
        "held": len(state.held),
        "resource_injection_w": bounds.injection_w,
        "resource_withdrawal_w": bounds.withdrawal_w,
    }


def show(settings: Settings, now_ms: int) -> dict[str, object]:
    """What is held, what was answered, what rules at now_ms."""
    state = open_state(settings.state_dir, trust_of(settings))
    points = [h.accepted.point for h in state.held]
    ruling = decision.in_force(points, now_ms)
    modes = ("nothing", "set-point", "fallback")
    return {
        "rules": modes[ruling.mode],
        "value_w": ruling.value,
        "setpoint": ruling.point.id.hex() if ruling.point else None,
        "unsent": len(state.outbox),
        "held": [
            {
                "setpoint": p.id.hex(),
                "command": p.command,
                "not_before_ms": p.not_before_ms,
                "not_after_ms": p.not_after_ms,
                "reported": [NAMES[s] for s in sorted(h.reported)],
            }
            for h, p in zip(state.held, points, strict=True)
        ],
    }


def run(settings: Settings) -> None:
    """Works until the source of ticks ends or SIGTERM comes."""
    signal.signal(signal.SIGTERM, lambda _number, _frame: sys.exit(0))
    key = open_key(settings.key_file)
    _work(settings, key, Log())


def _work(settings: Settings, key: AgentKey, log: Log) -> None:
    from edge_agent.ems_modbus import ModbusEms
    from edge_agent.link import Link
    from edge_agent.ticks import by_clock, by_conductor

    trust = trust_of(settings)
    agent = Agent(settings, key, trust, open_state(settings.state_dir, trust), ModbusEms(settings.ems), log)
    wake = threading.Event()

    def receive(message: bytes) -> bool:
        kept = agent.receive(message)
        wake.set()
        return kept

    link = Link(settings.broker, settings.device, receive, agent.sent, log)
    agent.send = link.send
    link.start()
    agent.resend()
    try:
        if settings.conductor is not None:
            by_conductor(settings.conductor, f"agent/{settings.device.hex()}", agent.tick)
        else:
            by_clock(agent.tick, wake)
    except KeyboardInterrupt:
        return
    finally:
        agent.stop()
        link.stop()
