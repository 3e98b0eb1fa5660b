"""One process of a fleet: `python -m hil.fleet.worker CONFIG`. Joins the conductor as one part, ticks all its nodes.

1. Each reading is one JSON line in its own file, written before the reading can be sent.
2. Storms come at their slot, to all nodes of the process at once: `sessions` breaks every connection, `reboot` is loss of
   power.
3. Readings are made in [start_ms, end_ms); afterwards the nodes only send what they hold.
"""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any, TextIO

from lightwire import records

from hil.conductor import PHASE_NODE
from hil.fleet.node import FACTS, FleetNode, VirtualSource, settings_of

_BREATH = 8  # nodes between two chances for the connections


def _teller(out: TextIO) -> Any:
    def tell(reading: records.Reading) -> None:
        out.write(
            f'{{"device": "{reading.device.hex()}", "boot": {reading.boot}, "seq": {reading.seq}, '
            f'"time_ms": {reading.time_ms}, "flags": {reading.flags}, "power_w": {reading.power_w}}}\n'
        )

    return tell


class Worker:
    """The nodes of this process, and their part in virtual time."""

    def __init__(self, config: dict[str, Any], out: TextIO) -> None:
        self._config = config
        self._source = VirtualSource()
        self._storms = [(int(at), str(kind)) for at, kind in config["storms"]]
        tell = _teller(out)
        self._nodes = [
            FleetNode(
                number, config["seed"], settings_of(number, config["common"], Path(cert), Path(key)), self._source, tell
            )
            for number, cert, key in config["nodes"]
        ]

    async def run(self) -> None:
        """Until the conductor ends the day or goes away."""
        host, _, port = self._config["conductor"].rpartition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(json.dumps({"part": self._config["name"], "phase": PHASE_NODE}).encode() + b"\n")
        while line := await reader.readline():
            message = json.loads(line)
            if message.get("end"):
                return
            await self._slot(int(message["utc_ms"]))
            writer.write(json.dumps({"done": message["tick"], **self._facts()}).encode() + b"\n")
            await writer.drain()

    async def _slot(self, utc_ms: int) -> None:
        first, self._source.mark_ms = not self._source.mark_ms, utc_ms
        if first:
            await self._all(FleetNode.start)
        while self._storms and self._storms[0][0] <= utc_ms:
            _, kind = self._storms.pop(0)
            await self._all(FleetNode.restart if kind == "reboot" else FleetNode.drop)
        if utc_ms >= self._config["end_ms"]:
            for node in self._nodes:
                await node.idle()
            return
        for k, node in enumerate(self._nodes):
            await node.slot()
            if k % _BREATH == 0:
                await asyncio.sleep(0)

    async def _all(self, act: Any) -> None:
        for k, node in enumerate(self._nodes):
            act(node)
            if k % _BREATH == 0:
                await asyncio.sleep(0)

    def _facts(self) -> dict[str, int]:
        sums = [sum(column) for column in zip(*(node.facts() for node in self._nodes), strict=True)]
        return dict(zip(FACTS, sums, strict=True))


async def _sleep_ms(duration_ms: int) -> None:
    await asyncio.sleep(duration_ms / 1000)


def main(path: Path) -> None:
    """Runs one process of the fleet."""
    config = json.loads(path.read_text())
    asyncio.sleep_ms = _sleep_ms  # type: ignore[attr-defined]  # the firmware's asyncio is MicroPython's
    with Path(config["produced"]).open("w", buffering=1) as out:
        asyncio.run(Worker(config, out).run())


if __name__ == "__main__":
    main(Path(sys.argv[1]))
