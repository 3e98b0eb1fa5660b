"""lightnode-hil meter: one emulated meter until it is stopped.

On standard input, one a line: "on FAULT" and "off NAME" switch a fault while it runs.
Exit codes: 0 done, 1 refused with its reason, 2 wrong usage, 3 a port or an outside party cannot be had.
"""

import argparse
import asyncio
import contextlib
import json
import os
import signal
import stat
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from hil.meters.catalogue import described, meter_map, models
from hil.meters.faults import Fault, FaultError, Kind, fault
from hil.meters.fields import CatalogueError
from hil.meters.meter import Meter
from hil.meters.profile import Profile, ProfileError, load_profile, steady
from hil.meters.rtu import pty_line, serial_line
from hil.meters.station import Station
from hil.meters.tcp import TcpServer
from hil.meters.truth import TruthLog

EXAMPLE = """examples:
  ./run hil meter --list
  ./run hil meter --model em340 --tcp 5020 --profile day.csv --repeat --truth truth.jsonl
  ./run hil meter --model sdm630 --unit 7 --fault late:600@10-20 --fault noise~30"""
_MEASURES_EVERY_S = 1.0


class Refused(Exception):
    """Stops with this reason and exit code."""

    def __init__(self, reason: str, code: int) -> None:
        super().__init__(reason)
        self.code = code


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.add_argument("--list", action="store_true", help="list the models with their source documents")
    parser.add_argument("--model", default="sdm630", help="the model (default sdm630)")
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--pty", action="store_true", help="on a pseudo terminal (default)")
    where.add_argument("--serial", metavar="PORT", help="on a serial port")
    where.add_argument("--tcp", metavar="PORT", type=int, help="Modbus TCP; 0 takes a free port")
    parser.add_argument("--host", default="127.0.0.1", help="the address for --tcp (default 127.0.0.1)")
    parser.add_argument("--baud", type=int, help="default: as the meter leaves the factory")
    parser.add_argument("--parity", choices=["N", "E", "O"])
    parser.add_argument("--stop-bits", type=int, choices=[1, 2])
    parser.add_argument("--rs485", action="store_true", help="the port's driver switches the direction")
    parser.add_argument("--unit", type=int, default=1)
    parser.add_argument("--ct", type=int, default=1, help="current transformer ratio")
    parser.add_argument("--vt", type=int, default=1, help="voltage transformer ratio")
    parser.add_argument("--base", type=int, help="where SunSpec's marker lies: 40000, 50000 or 0")
    parser.add_argument("--import-wh", type=int, default=0, help="what the counter starts with")
    parser.add_argument("--export-wh", type=int, default=0)
    parser.add_argument("--profile", type=Path, help="CSV: time_s, w_l1, ... var_l1, ... v_l1, ... hz")
    parser.add_argument("--repeat", action="store_true", help="the profile comes again instead of holding its last row")
    parser.add_argument("--truth", type=Path, help="where every offered value and every fault goes, as JSON lines")
    parser.add_argument(
        "--fault", action="append", default=[], metavar="NAME[:ARG][~PERCENT][@FROM-TO]",
        help="seconds from the start; names: " + ", ".join(Kind),
    )  # fmt: skip
    parser.add_argument("--seed", default="meter", help="of what faults leave to chance")
    parser.add_argument("--seconds", type=float, help="stop after so long")
    parser.add_argument("--json", action="store_true")


def run(options: argparse.Namespace) -> int:
    """See the module's docstring."""
    try:
        if options.list:
            return _list(options.json)
        asyncio.run(_Run(options).run())
    except (Refused, CatalogueError, FaultError, ProfileError) as error:
        print(f"lightnode-hil meter: {error}", file=sys.stderr)
        return error.code if isinstance(error, Refused) else 1 if isinstance(error, ProfileError) else 2
    return 0


def _list(as_json: bool) -> int:
    for name in models():
        about = described(name)
        if as_json:
            print(json.dumps(about))
            continue
        print(f"{name:12} {about['title']}\n{'':12} {about['source']}")
        for note in about["unverified"]:
            print(f"{'':12} unverified: {note}")
    return 0


def scheduled(text: str, start_ms: int) -> Fault:
    """The fault of NAME[:ARGUMENT][~PERCENT][@FROM-TO], seconds after start_ms; FaultError otherwise."""
    named, at, span = text.partition("@")
    if not at:
        return fault(named)
    begin, dash, end = span.partition("-")
    try:
        from_s, to_s = float(begin), float(end) if end else None
    except ValueError:
        from_s, to_s = -1.0, None
    if not dash or not 0 <= from_s < 1e9 or (to_s is not None and not from_s < to_s < 1e9):
        raise FaultError(f"{text}: after @ belongs FROM-TO in seconds from the start, for example @10-20")
    to_ms = None if to_s is None else start_ms + round(1000 * to_s)
    return fault(named, start_ms + round(1000 * from_s), to_ms)


@dataclass(slots=True)
class _Run:
    options: argparse.Namespace

    async def run(self) -> None:
        """Serves until a signal, the end of --seconds or the loss of the port."""
        options = self.options
        model = meter_map(options.model, options.base)
        _check(options)
        profile = load_profile(options.profile, options.repeat) if options.profile else steady()
        start_ms = _now_ms()
        faults = tuple(scheduled(text, start_ms) for text in options.fault)
        with _truth(options.truth) as out:
            log = None if out is None else TruthLog(out)
            meter = Meter(
                f"{options.model}-{options.unit}", model, options.ct, options.vt,
                options.import_wh * 3600, options.export_wh * 3600,
            )  # fmt: skip
            await self._serve(Station(meter, options.unit, faults, log, _now_ms, options.seed), profile, start_ms, log)

    async def _serve(self, station: Station, profile: Profile, start_ms: int, log: TruthLog | None) -> None:
        ended = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, ended.set)
        station.offer(start_ms, profile.at(0))
        lost = asyncio.Event()

        def lose() -> None:
            lost.set()
            ended.set()

        close = await self._open(station, lose)
        try:
            with _Commands(loop, station):
                await self._measure(station, profile, start_ms, log, ended)
        finally:
            close()
            if log is not None:
                log.flush()
        if lost.is_set():
            raise Refused(f"{self.options.serial} went away; plug it in and start again", 3)
        self._say({"done": True, "requests": station.requests}, f"answered {station.requests} requests")

    async def _measure(
        self, station: Station, profile: Profile, start_ms: int, log: TruthLog | None, ended: asyncio.Event
    ) -> None:
        seconds = self.options.seconds
        end_s = None if seconds is None else time.monotonic() + seconds
        while not ended.is_set():
            left_s = _MEASURES_EVERY_S if end_s is None else min(_MEASURES_EVERY_S, end_s - time.monotonic())
            if left_s <= 0:
                return
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(ended.wait(), left_s)
            now_ms = _now_ms()
            station.offer(now_ms, profile.at(now_ms - start_ms))
            if log is not None:
                log.flush()

    async def _open(self, station: Station, lost: Callable[[], None]) -> Callable[[], None]:
        options = self.options
        try:
            if options.tcp is not None:
                server = TcpServer(station)
                port = await server.listen(options.tcp, options.host)
                self._listens({"tcp": f"{options.host}:{port}"}, f"{options.host} port {port}")
                return server.close
            if options.serial is None:
                line = pty_line([station])
                self._listens({"pty": line.path}, line.path)
                return line.close
            factory = station.meter.model.serial
            settings = (options.baud or factory.baud, options.parity or factory.parity,
                        options.stop_bits or factory.stop_bits)  # fmt: skip
            line = serial_line([station], options.serial, *settings, options.rs485, lost)
            self._listens({"serial": line.path}, f"{line.path}, {settings[0]} baud, 8{settings[1]}{settings[2]}")
            return line.close
        except (OSError, ValueError) as error:
            where = options.serial or f"{options.host} port {options.tcp}"
            raise Refused(f"{where} cannot be had: {error}; name another or free it", 3) from error

    def _listens(self, facts: dict[str, str], where: str) -> None:
        options = self.options
        self._say(
            {"model": options.model, "unit": options.unit} | facts, f"{options.model}, unit {options.unit}: {where}"
        )

    def _say(self, facts: dict[str, object], text: str) -> None:
        print(json.dumps(facts) if self.options.json else text, flush=True)


def _check(options: argparse.Namespace) -> None:
    """Refused for a number out of its limits."""
    limits = {"unit": (1, 247), "ct": (1, 10_000), "vt": (1, 10_000), "import_wh": (0, 10**12), "export_wh": (0, 10**12),
              "tcp": (0, 65_535), "baud": (300, 921_600), "seconds": (0, 10**9)}  # fmt: skip
    for name, (low, high) in limits.items():
        value = getattr(options, name)
        if value is not None and not low <= value <= high:
            option = "--" + name.replace("_", "-")
            raise Refused(f"{option} is {value}, a number from {low} to {high} belongs here", 2)


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


@contextlib.contextmanager
def _truth(path: Path | None) -> Iterator[TextIO | None]:
    if path is None:
        yield None
        return
    try:
        out = path.open("w")
    except OSError as error:
        raise Refused(f"{path} cannot be written: {error.strerror}; name another file", 1) from error
    with out:
        yield out


class _Commands:
    """Faults are switched from standard input while this is entered, if it is an input that can be waited for."""

    def __init__(self, loop: asyncio.AbstractEventLoop, station: Station) -> None:
        self._loop = loop
        self._station = station
        self._buffer = b""
        self._descriptor = -1

    def __enter__(self) -> None:
        with contextlib.suppress(OSError, ValueError, AttributeError):
            descriptor = sys.stdin.fileno()
            mode = os.fstat(descriptor).st_mode
            in_front = os.isatty(descriptor) and os.tcgetpgrp(descriptor) == os.getpgrp()
            if stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) or in_front:
                self._descriptor = descriptor
                self._loop.add_reader(descriptor, self._read)

    def __exit__(self, *_: object) -> None:
        if self._descriptor >= 0:
            self._loop.remove_reader(self._descriptor)
            self._descriptor = -1

    def _read(self) -> None:
        data = os.read(self._descriptor, 4096)
        if not data:
            self.__exit__()
        *lines, self._buffer = (self._buffer + data)[-8192:].split(b"\n")
        for line in lines:
            self._switch(line.decode(errors="replace").strip())

    def _switch(self, line: str) -> None:
        word, _, text = line.partition(" ")
        try:
            if word not in ("on", "off"):
                raise FaultError(f"{line!r} is no command; write 'on FAULT' or 'off NAME'")
            self._station.switch(fault(text), word == "on")
        except FaultError as error:
            print(f"lightnode-hil meter: {error}", file=sys.stderr, flush=True)
