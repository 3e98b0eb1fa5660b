"""A fleet on a real broker and a back end of its own: load, storms, drain, and the account of every line.

1. Virtual time is the conductor's. After a tick time is held while nodes have no trusted time (an answer that crosses a
   tick measures nothing), at most HOLD_S of wall time in a row.
2. The load ends, then time goes on to the end of the quarter-hour, until nothing is pending anywhere and a node awaits no
   receipt but that of its last batch; receipts are waited for RECEIPTS_S of wall time, what is missing then is reported.
3. The account is made from the files of produced lines and from `lightnode readings export`, run as its own process.
"""

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Any

from lightwire import envelope, records, topics

from backend.wiring import make_identity
from hil import scd
from hil.broker import Broker
from hil.conductor import SLOT_MS, Conductor
from hil.errors import RigError
from hil.fleet.account import account
from hil.fleet.meters import Rate
from hil.fleet.node import FACTS, FleetKey
from hil.fleet.options import FleetOptions
from hil.pki import Pki
from hil.process import Child, stopping

FRAME_MS = 900_000
FIRST_FRAME_MS = 1_796_040_000_000
HOLD_S = 60.0
DRAIN_S = 300.0
RECEIPTS_S = 30.0
JOIN_S = 60.0
_FILES_BESIDE = 256
Say = Callable[[str], None]


class FleetFailed(RigError):
    """The fleet could not run, or did not drain; one line."""


class Fleet:
    """One run. `run()` once."""

    def __init__(self, options: FleetOptions, say: Say) -> None:
        self._options = options
        self._say = say
        slots = max(2, round(options.minutes * 60_000 / SLOT_MS))
        self._start_ms = FIRST_FRAME_MS - slots // 2 * SLOT_MS
        self._end_ms = self._start_ms + slots * SLOT_MS
        self._out = options.out
        self._children: list[Child] = []
        self._backend: Child | None = None
        self._facts: dict[str, Mapping[str, Any]] = {}
        self._ended: dict[str, int] = {"refused": 0, "duplicates": 0}
        self._rate = Rate()

    def run(self) -> dict[str, Any]:
        """The summary, which is also OUT/summary.json; FleetFailed if it could not be brought to an end."""
        self._out.mkdir(parents=True, exist_ok=True)
        for old in (*self._out.glob("produced-*.jsonl"), *self._out.glob("scd.sqlite*")):
            old.unlink()
        allow_files(self._options.nodes + _FILES_BESIDE, self._say)
        with ExitStack() as stack:
            began = time.monotonic()
            self._conductor = Conductor(self._start_ms, self._options.speed, silence_s=120)
            stack.enter_context(stopping(self._children))
            stack.callback(self._conductor.close)
            self._open(stack)
            ready = time.monotonic()
            self._load()
            loaded = time.monotonic()
            self._drain()
            drained = time.monotonic()
        walls = {"prepare_s": ready - began, "load_s": loaded - ready, "drain_s": drained - loaded}
        return self._account({name: round(wall, 1) for name, wall in walls.items()})

    def _open(self, stack: ExitStack) -> None:
        out, options = self._out, self._options
        given = options.broker
        self._pki = Pki(out / "pki", authority=given.authority if given else None)
        self._broker = given or stack.enter_context(Broker(out / "broker", self._pki))
        self._identity = make_identity(out / "keys", os.urandom(16))
        self._say(f"enrolling {options.nodes} light nodes")
        clients = self._enrol()
        self._write_backend_config()
        self._start_backend()
        names = []
        for number in range(options.workers):
            names.append(f"fleet/{number}")
            config = self._worker_config(number, clients)
            path = out / f"worker-{number}.json"
            path.write_text(json.dumps(config))
            self._children.append(
                Child(names[-1], [sys.executable, "-m", "hil.fleet.worker", str(path)], out / f"worker-{number}.log")
            )
        self._join(names)

    def _enrol(self) -> list[tuple[int, str, str]]:
        """(number, certificate, key) of each node; its enrolment goes into a file for the back end."""
        clients = []
        with (self._out / "enrolments.jsonl").open("w") as file:
            for number in range(self._options.nodes):
                key, nonce = FleetKey(self._options.seed, number), os.urandom(16)
                tls = self._pki.client(topics.station(key.device))
                enrolment = records.Enrolment(
                    key.device,
                    1,
                    records.ES256K,
                    key.public,
                    tls.fingerprint,
                    nonce,
                    self._start_ms,
                    records.LEVEL_FILE,
                )
                sealed = envelope.seal(enrolment, self._identity.deployment, key.sign)
                line = {
                    "device": key.device.hex(), "pod": f"FLEET{number:05}", "nonce": nonce.hex(),
                    "enrolment": sealed.hex(),
                }  # fmt: skip
                file.write(json.dumps(line) + "\n")
                clients.append((number, str(tls.cert_pem), str(tls.key_pem)))
        return clients

    def _write_backend_config(self) -> None:
        mine = self._pki.client("backend")
        broker = {
            "host": self._broker.host, "port": self._broker.port,
            "ca": str(self._pki.ca_pem), "cert": str(mine.cert_pem), "key": str(mine.key_pem),
        }  # fmt: skip
        config = {
            "folder": str(self._out), "deployment": self._identity.deployment.hex(), "start_ms": self._start_ms,
            "broker": broker, "enrolments": str(self._out / "enrolments.jsonl"), "conductor": self._conductor.address,
        }  # fmt: skip
        (self._out / "backend.json").write_text(json.dumps(config))

    def _worker_config(self, number: int, clients: list[tuple[int, str, str]]) -> dict[str, Any]:
        identity, options = self._identity, self._options
        return {
            "name": f"fleet/{number}",
            "conductor": self._conductor.address,
            "seed": options.seed,
            "end_ms": self._end_ms,
            "storms": [(self._start_ms + s.after_ms, s.kind) for s in options.storms if s.kind in ("sessions", "reboot")],
            "nodes": clients[number :: options.workers],
            "produced": str(self._out / f"produced-{number}.jsonl"),
            "common": {
                "deployment": identity.deployment.hex(), "operator": identity.operator.hex(),
                "log_key": identity.log_key.public.hex(),
                "issuers": [{"id": identity.issuer.hex(), "role": 1, "key": identity.issuer_key.public.hex()}],
                "broker": {"host": self._broker.host, "port": self._broker.port, "ca": str(self._pki.ca_pem)},
            },
        }  # fmt: skip

    def _start_backend(self) -> None:
        command = [sys.executable, "-m", "hil.scd", str(self._out / "backend.json")]
        self._backend = Child(scd.NAME, command, self._out / "backend.log")
        self._children.append(self._backend)
        self._join([scd.NAME])

    def _join(self, names: list[str]) -> None:
        missing = self._conductor.wait_for(names, JOIN_S, self._see_that_all_live)
        if missing:
            raise FleetFailed(f"{', '.join(sorted(missing))} did not join within {JOIN_S:.0f} s")

    def _see_that_all_live(self) -> None:
        for child in self._children:
            if child.exit_code is not None and (child is self._backend or child.name != scd.NAME):
                raise FleetFailed(f"{child.name} ended: {child.last_words()}")

    def _load(self) -> None:
        storms = [s for s in self._options.storms if s.kind in ("broker", "backend")]
        while self._conductor.now_ms + SLOT_MS < self._end_ms:
            while storms and self._start_ms + storms[0].after_ms <= self._conductor.now_ms + SLOT_MS:
                self._break(storms.pop(0).kind)
            self._tick()
            self._hold()

    def _break(self, kind: str) -> None:
        self._say(f"kill -9 of the {kind}")
        if isinstance(self._broker, Broker) and kind == "broker":
            self._broker.kill()
            self._tick()
            self._broker.start()
        elif self._backend is not None:
            self._conductor.dismiss(scd.NAME)
            for name in self._ended:
                self._ended[name] += int(self._facts[scd.NAME][name])
            self._backend.kill()
            self._tick()
            self._start_backend()

    def _tick(self) -> None:
        tick = self._conductor.tick()
        if tick.lost:
            self._see_that_all_live()
            raise FleetFailed(f"{', '.join(tick.lost)} fell silent")
        self._facts.update(tick.facts)
        self._rate.note(time.monotonic(), int(self._facts[scd.NAME]["committed"]))
        slot = (tick.utc_ms - self._start_ms) // SLOT_MS
        if slot % 15 == 0:
            self._say(
                f"slot {slot}: {self._sum('connected')} connected, {self._sum('made')} records made, "
                f"{self._facts[scd.NAME]['committed']} stored, {self._sum('pending')} pending"
            )

    def _hold(self) -> None:
        """Rule 1."""
        end = time.monotonic() + HOLD_S
        while self._sum("trusted") < self._options.nodes and time.monotonic() < end:
            time.sleep(0.5)
            if self._conductor.now_ms + SLOT_MS >= self._end_ms:
                return
            self._tick()

    def _drain(self) -> None:
        """Rule 2."""
        self._conductor.hurry()
        began = time.monotonic()
        while self._conductor.now_ms < FIRST_FRAME_MS + FRAME_MS + SLOT_MS or not self._is_quiet():
            if time.monotonic() > began + DRAIN_S:
                raise FleetFailed(f"not drained after {DRAIN_S:.0f} s: {json.dumps(self._facts)}")
            self._tick()
            if not self._is_quiet():
                time.sleep(0.1)
        began = time.monotonic()
        while self._sum("awaiting") > self._options.nodes and time.monotonic() < began + RECEIPTS_S:
            self._tick()
            time.sleep(0.1)

    def _is_quiet(self) -> bool:
        return self._sum("made") == int(self._facts[scd.NAME]["committed"]) and not self._sum("pending")

    def _sum(self, fact: str) -> int:
        return sum(int(facts[fact]) for name, facts in self._facts.items() if name != scd.NAME)

    def _account(self, walls: dict[str, float]) -> dict[str, Any]:
        export = self._out / "export.jsonl"
        with export.open("w") as file:
            command = [sys.executable, "-m", "backend", "readings", "export", "--db", str(self._out / "scd.sqlite")]
            subprocess.run(command, stdout=file, check=True)
        produced = [line for path in sorted(self._out.glob("produced-*.jsonl")) for line in _lines(path)]
        found = account(produced, _lines(export))
        backend = self._facts[scd.NAME]
        options = self._options
        summary = {
            "nodes": options.nodes, "minutes": options.minutes, "speed": options.speed or "max", "seed": options.seed,
            "storms": [asdict(storm) for storm in options.storms], "workers": options.workers,
            **asdict(found), "balanced": found.is_balanced,
            **{fact: self._sum(fact) for fact in FACTS}, "committed": int(backend["committed"]),
            **{name: ended + int(backend[name]) for name, ended in self._ended.items()},
            **walls, "stored_per_s": round(self._rate.mean()), "stored_per_s_peak": round(self._rate.peak()),
        }  # fmt: skip
        (self._out / "summary.json").write_text(json.dumps(summary, indent=1) + "\n")
        return summary


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    with path.open() as file:
        for line in file:
            yield json.loads(line)


def allow_files(wanted: int, say: Say) -> None:
    """Raises the soft limit of open files, for this process and its children; says so in one line if it cannot."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft >= wanted or soft == resource.RLIM_INFINITY:
        return
    if hard not in (resource.RLIM_INFINITY, -1) and hard < wanted:
        say(f"{wanted} open files are needed, the hard limit is {hard}: raise it (ulimit -Hn) or take fewer nodes")
        wanted = hard
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
