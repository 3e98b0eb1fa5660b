"""lightnode-flash status: how a device on a cable is, in a few lines; it goes on working and nothing is changed."""

import argparse
import json
from collections.abc import Mapping
from typing import Any

from lightflash.link import METER_S, Link, line_of

EXAMPLE = "example: ./run flash status --port /dev/ttyACM0"
ASKED = ("version", "key", "status", "network", "meter")
Answers = Mapping[str, Mapping[str, Any]]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Where it is."""
    parser.add_argument("--port", required=True, help="the device's port: a serial port, or socket://HOST:PORT")
    parser.add_argument("--json", action="store_true", help="print one JSON object, every answer of the device in it")


def run(options: argparse.Namespace) -> int:
    """0 when the device has answered, however it is."""
    with Link(options.port) as link:
        answers = {name: link.ask(name, timeout_s=METER_S if name == "meter" else 10.0) for name in ASKED}
    if options.json:
        print(json.dumps({"port": options.port, **answers}))
        return 0
    for name, text in lines(answers):
        print(f"{name:12}{line_of(text)}")
    return 0


def lines(answers: Answers) -> list[tuple[str, str]]:
    """(what, how it is) for people; what a device does not say is a question mark."""
    said = _Said(answers)
    journal = (
        f"{said.number('status', 'fill_permille') / 10:g} % held, {said('status', 'pending')} records not acknowledged"
    )
    trial = ", on trial" if said("status", "on_trial") == "True" else ""
    return [
        ("device", said("key", "device")),
        ("key", f"generation {said('key', 'generation')}, SHA-256 {said('key', 'key_sha256')}"),
        ("certificate", f"SHA-256 {said('key', 'certificate_sha256')}"),
        ("firmware", f"{said('version', 'firmware')} on {said('version', 'platform')}, MicroPython {said('version', 'python')}"),
        ("release", f"sequence {said('status', 'release')}{trial}, {said('status', 'updates_refused')} announcements refused"),
        ("time", _time(said)),
        ("meter", _meter(said, answers["meter"])),
        ("broker", _broker(said)),
        ("journal", journal),
        ("started", f"{said('status', 'uptime_s')} s ago, cause {said('status', 'reset_cause')}, last fault {said('status', 'fault')}"),
        ("alarms", f"{said('status', 'alarms')}, tasks started again {said('status', 'restarts')}"),
    ]  # fmt: skip


class _Said:
    def __init__(self, answers: Answers) -> None:
        self._answers = answers

    def __call__(self, command: str, name: str) -> str:
        return str(self._answers[command].get(name, "?"))

    def number(self, command: str, name: str) -> int:
        found = self._answers[command].get(name, 0)
        return found if isinstance(found, int) else 0


def _time(said: _Said) -> str:
    if said("network", "clock_trusted") != "True":
        return "not trusted: the back end has not answered yet"
    return f"trusted, at most {said('network', 'clock_error_ms')} ms off, UTC {said('network', 'utc_ms')} ms"


def _broker(said: _Said) -> str:
    state = "connected" if said("network", "connected") == "True" else "not connected"
    return (
        f"{said('network', 'broker')}: {state}, {said('network', 'sessions')} sessions, link {said('network', 'link')}"
    )


def _meter(said: _Said, meter: Mapping[str, Any]) -> str:
    where = f"{said('meter', 'map')}, unit {said('meter', 'unit')}: "
    if "error" in meter:
        return where + said("meter", "error")
    volts = "/".join(
        f"{said.number('meter', name) / 1000:.1f}" for name in sorted(meter) if name.startswith("voltage_")
    )
    return (
        where
        + f"{said('meter', 'power_w')} W, {said('meter', 'reactive_var')} var, {volts} V, "
        + f"{said.number('meter', 'frequency_mhz') / 1000:.2f} Hz, "
        + f"{said('meter', 'import_wh')} Wh in, {said('meter', 'export_wh')} Wh out"
    )
