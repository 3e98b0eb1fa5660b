"""One process with every customer's meter and DER: `python -m hil.site CONFIG.json`.

1. When all listen, one JSON line on standard output: {"ready": {pod: {"meter": path, "ems": port}}}.
2. Part "site", phase 1 of the conductor. A tick: each DER steps over the coming slot under the command it has, then its
   meter offers load plus DER. A meter sees only its own customer's terminals.
3. The load of a slot is the quarter-hour's mean with a seeded variation that averages to it exactly.
4. The answer to a tick is {"done": n, "meters": {pod: W}}; every offered value goes to the truth file as a JSON line.

Exit code 0 when the day ends or the conductor leaves, 1 for a wrong configuration, 2 for wrong usage, 3 if the conductor
or a port cannot be had.
"""

import asyncio
import contextlib
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from hil.der import Der
from hil.meters.catalogue import meter_map
from hil.meters.meter import Meter, Terminals
from hil.meters.rtu import RtuLine, pty_line
from hil.meters.station import Station
from hil.meters.truth import TruthLog
from hil.profile import FRAME_MS, SLOT_MS, slot_power_w
from hil.site_config import Customer, SiteConfig, SiteError, load


class Place:
    """One customer's terminals: meter, DER and load."""

    def __init__(self, customer: Customer, config: SiteConfig) -> None:
        self.customer = customer
        self._config = config
        self.der = Der(customer.plate, serial=customer.pod)
        meter = Meter(
            customer.pod,
            meter_map(customer.meter),
            customer.ct_ratio,
            customer.vt_ratio,
            customer.import_wh * 3600,
            customer.export_wh * 3600,
        )
        self.station = Station(meter, customer.unit, customer.faults, seed=config.seed)
        self.line: RtuLine | None = None

    async def open(self) -> dict[str, object]:
        """Listens on both sides: where the meter and the DER are to be found."""
        self.line = pty_line([self.station])
        path = self.line.path
        if (link := self.customer.tty) is not None:
            link.unlink(missing_ok=True)
            link.symlink_to(path)
            path = str(link)
        return {"meter": path, "ems": await self.der.block.listen(self.customer.der_port)}

    async def close(self) -> None:
        """Takes both lines away."""
        await self.der.block.close()
        if self.line is not None:
            self.line.close()
            if self.customer.tty is not None:
                self.customer.tty.unlink(missing_ok=True)

    def step(self, utc_ms: int) -> int:
        """One slot from utc_ms on; the power at the terminals [W]."""
        customer = self.customer
        quarter = customer.quarter(utc_ms // FRAME_MS)
        self._disturb(utc_ms)
        load_w = slot_power_w(f"{self._config.seed}/{customer.pod}", utc_ms, customer.load_w[quarter])
        power_w = load_w + self.der.step(utc_ms, customer.der_w[quarter], load_w, SLOT_MS)
        reactive_var = load_w * customer.reactive_per_mille // 1000
        phases = self.station.meter.model.phases
        self.station.offer(utc_ms, Terminals.spread(phases, power_w, reactive_var, customer.phase_mv[quarter]))
        return power_w

    def _disturb(self, utc_ms: int) -> None:
        customer = self.customer
        self.der.block.refuses = customer.is_in("ems_down", utc_ms)
        self.der.local_switch = customer.is_in("local_switch", utc_ms)
        self.der.emergency_stop = customer.is_in("emergency_stop", utc_ms)


class Site:
    """All `places`; a tick for each slot."""

    def __init__(self, config: SiteConfig) -> None:
        self._config = config
        self._log: TruthLog | None = None
        self.places = [Place(c, config) for c in config.customers]

    async def run(self) -> None:
        """Until the source of ticks ends. OSError if a port or the conductor cannot be had."""
        with self._truth():
            try:
                print(json.dumps({"ready": {p.customer.pod: await p.open() for p in self.places}}), flush=True)
                if self._config.conductor is None:
                    await self._by_wall_clock()
                else:
                    await self._conducted(self._config.conductor)
            finally:
                for place in self.places:
                    await place.close()

    def step(self, utc_ms: int) -> dict[str, int]:
        """One slot for everybody: W by POD."""
        powers = {place.customer.pod: place.step(utc_ms) for place in self.places}
        if self._log is not None:
            self._log.flush()
        return powers

    async def _conducted(self, address: str) -> None:
        host, _, port = address.rpartition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(b'{"part": "site", "phase": 1}\n')
        with contextlib.suppress(ConnectionError):
            while line := await reader.readline():
                message = json.loads(line)
                if message.get("end"):
                    break
                meters = self.step(message["utc_ms"])
                writer.write(json.dumps({"done": message["tick"], "meters": meters}).encode() + b"\n")
                await writer.drain()
        writer.close()

    async def _by_wall_clock(self) -> None:
        mark = time.time_ns() // 1_000_000 // SLOT_MS * SLOT_MS
        while True:
            self.step(mark)
            mark += SLOT_MS
            await asyncio.sleep(max(0.0, mark / 1000 - time.time()))

    @contextlib.contextmanager
    def _truth(self) -> Iterator[None]:
        """All meters write to the truth file meanwhile, if there is one."""
        if self._config.truth is None:
            yield
            return
        with self._config.truth.open("w") as out:
            self._log = TruthLog(out)
            for place in self.places:
                place.station.truth = self._log
            yield


def main(arguments: list[str]) -> int:
    """See the module's docstring."""
    if len(arguments) != 1 or arguments[0].startswith("-"):
        print("usage: python -m hil.site CONFIG.json", file=sys.stderr)
        return 0 if arguments in (["-h"], ["--help"]) else 2
    try:
        asyncio.run(Site(load(Path(arguments[0]))).run())
    except SiteError as error:
        print(f"site: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"site: {error}", file=sys.stderr)
        return 3
    except KeyboardInterrupt:
        return 0
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
