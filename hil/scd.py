"""The back end in a process of its own, in virtual time: `python -m hil.scd CONFIG`. Can be killed and started again.

1. It joins the conductor as the part `backend`, before the nodes of the same tick, so that its time is theirs.
2. Enrolments that it does not know are approved at the start. The development chain lives and dies with the process: what
   stands in the store and not on the chain is anchored again.
"""

import json
import socket
import sys
from pathlib import Path
from typing import Any

from backend.adapters.ethereum import EmbeddedChain
from backend.adapters.mqtt import BrokerAccess
from backend.wiring import Backend, make_identity
from hil.conductor import PHASE_SITE

NAME = "backend"


def main(path: Path) -> None:
    """Runs the back end until the conductor ends the day or goes away."""
    config: dict[str, Any] = json.loads(path.read_text())
    folder = Path(config["folder"])
    identity = make_identity(folder / "keys", bytes.fromhex(config["deployment"]))
    chain = EmbeddedChain(identity.operator.rjust(32, b"\0"))
    now = [int(config["start_ms"])]
    access = config["broker"]
    broker = BrokerAccess(access["host"], access["port"], *(Path(access[name]) for name in ("ca", "cert", "key")))
    backend = Backend(folder, identity, broker, chain.ledger, lambda: now[0])
    try:
        _approve(backend, Path(config["enrolments"]), now[0])
        backend.start()
        _serve(backend, chain, now, config["conductor"])
    finally:
        backend.stop()
        chain.close()


def _approve(backend: Backend, enrolments: Path, now_ms: int) -> None:
    known = {party.id.hex() for party in backend.store.parties()}
    with backend.store.writing():
        for line in enrolments.read_text().splitlines():
            one = json.loads(line)
            if one["device"] not in known:
                backend.register.approve(
                    bytes.fromhex(one["enrolment"]), bytes.fromhex(one["nonce"]), "node", one["pod"],
                    now_ms,
                )  # fmt: skip


def _serve(backend: Backend, chain: EmbeddedChain, now: list[int], conductor: str) -> None:
    host, _, port = conductor.rpartition(":")
    with socket.create_connection((host, int(port))) as line, line.makefile("rw") as stream:
        stream.write(json.dumps({"part": NAME, "phase": PHASE_SITE}) + "\n")
        stream.flush()
        for text in stream:
            message = json.loads(text)
            if message.get("end"):
                return
            now[0] = int(message["utc_ms"])
            backend.step(now[0])
            chain.advance()
            facts = {
                "committed": sum(backend.collect.committed().values()),
                "refused": backend.collect.refused,
                "duplicates": backend.collect.duplicates,
            }
            stream.write(json.dumps({"done": message["tick"], **facts}) + "\n")
            stream.flush()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
