"""All customers of a rig in one process: each a load, a DER behind SunSpec over TCP, and a meter on a pseudo terminal.

`python -m hil.site CONFIG` prints {"ready": {pod: {"meter": path, "ems": port}}}, joins the conductor as "site" and steps
the physics in each tick: load and DER at the customer's terminals, then the meter. A meter sees nothing else.
"""

import asyncio
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from hil.conductor import PHASE_SITE, SLOT_MS
from hil.der import Der
from hil.meter import Meter
from hil.modbus import RtuServer, TcpServer
from hil.profile import slot_power_w

FRAME_MS = 900_000


class SiteError(ValueError):
    """A wrong configuration, in one line."""


@dataclass(slots=True)
class Customer:
    """One customer: what is behind the point of delivery. Powers in W, withdrawal positive."""

    pod: str
    seed: str
    first_frame: int
    load_w: list[int]
    der_w: list[int]
    phase_mv: int
    der: Der
    meter: Meter

    def step(self, utc_ms: int) -> dict[str, int]:
        """4 s of physics, then the meter's registers; what the meter offered."""
        frame, slot = utc_ms // FRAME_MS, utc_ms % FRAME_MS // SLOT_MS
        k = min(max(frame - self.first_frame, 0), len(self.load_w) - 1)
        load_w = slot_power_w(self.seed + self.pod, frame, slot, self.load_w[k])
        power_w = load_w + self.der.step(utc_ms, self.der_w[k], load_w, SLOT_MS)
        offered = self.meter.offer(utc_ms, power_w, load_w // 5, self.phase_mv, SLOT_MS)
        return {"power_w": offered.power_w, "import_wh": offered.import_wh, "export_wh": offered.export_wh}


def customer(seed: str, entry: dict[str, Any]) -> Customer:
    """A customer of the configuration; SiteError names the key that is wrong."""
    try:
        return Customer(
            entry["pod"], seed, entry["first_frame"], entry["load_w"], entry["der_w"], entry["phase_mv"],
            Der(**entry["der"]), Meter(entry["unit"], entry["ct_ratio"], entry["vt_ratio"]),
        )  # fmt: skip
    except (KeyError, TypeError) as error:
        raise SiteError(f"site configuration, customer {entry.get('pod')}: {error}") from error


class Site:
    """The running customers."""

    def __init__(self, customers: list[Customer], truth: TextIO | None) -> None:
        self._customers = customers
        self._truth = truth

    async def open(self) -> dict[str, dict[str, object]]:
        """Opens the lines; where each meter and each energy manager is."""
        ready: dict[str, dict[str, object]] = {}
        for one in self._customers:
            server = TcpServer(one.der.device)
            await server.start()
            line = RtuServer(one.meter.device, asyncio.get_running_loop())
            ready[one.pod] = {"meter": line.path, "ems": server.port}
        return ready

    def tick(self, utc_ms: int) -> dict[str, int]:
        """One slot for all; true power by POD."""
        offered = {one.pod: one.step(utc_ms) for one in self._customers}
        if self._truth is not None:
            for pod, values in offered.items():
                self._truth.write(json.dumps({"pod": pod, "utc_ms": utc_ms, **values}) + "\n")
            self._truth.flush()
        return {pod: values["power_w"] for pod, values in offered.items()}


async def run(config: dict[str, Any]) -> None:
    """Hosts the customers until the conductor ends the day or goes away."""
    truth = open(config["truth"], "a") if config.get("truth") else None  # noqa: SIM115
    site = Site([customer(config["seed"], entry) for entry in config["customers"]], truth)
    print(json.dumps({"ready": await site.open()}), flush=True)
    host, port = config["conductor"].split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(json.dumps({"part": "site", "phase": PHASE_SITE}).encode() + b"\n")
    while line := await reader.readline():
        message = json.loads(line)
        if message.get("end"):
            break
        meters = site.tick(message["utc_ms"])
        writer.write(json.dumps({"done": message["tick"], "meters": meters}).encode() + b"\n")
        await writer.drain()
    if truth is not None:
        truth.close()


def main(arguments: list[str]) -> int:
    """Exit code 0 after the day, 1 with one line for a wrong configuration, 2 for wrong usage."""
    if len(arguments) != 1:
        print("usage: python -m hil.site CONFIG.json", file=sys.stderr)
        return 2
    try:
        asyncio.run(run(json.loads(Path(arguments[0]).read_text())))
    except (SiteError, KeyError, ValueError, OSError) as error:
        print(f"site: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
