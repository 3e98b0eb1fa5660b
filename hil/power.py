"""Power switches of a lab: a port of a USB hub, a Tasmota plug, a channel of a serial relay board.

Each driver turns one thing on and off and believes only what the switch confirms, where it can confirm. PowerFailed says in
one line which switch did not do what.
"""

import json
import shutil
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request
from dataclasses import dataclass
from typing import Protocol

from hil.errors import RigError

_TIMEOUT_S = 5


class PowerFailed(RigError):
    """A switch did not do what it was told, or is not there."""


class PowerSwitch(Protocol):
    """One thing whose power can be taken."""

    def turn(self, on: bool) -> None:
        """On or off; on return it is so. PowerFailed otherwise."""
        ...


def cycle(switch: PowerSwitch, off_s: float = 1.0) -> None:
    """Takes the power for a while."""
    switch.turn(False)
    time.sleep(off_s)
    switch.turn(True)


@dataclass(frozen=True, slots=True)
class Uhubctl:
    """A port of a USB hub that switches power per port, through the program uhubctl (a process of its own)."""

    location: str
    port: int
    command: str = "uhubctl"

    def turn(self, on: bool) -> None:
        """uhubctl prints the state of the port afterwards: `Port 2: 0100 power` or `... off`."""
        if shutil.which(self.command) is None:
            raise PowerFailed(f"{self.command} is not here: 'apt install uhubctl'")
        words = [self.command, "-l", self.location, "-p", str(self.port), "-a", "on" if on else "off"]
        try:
            done = subprocess.run(words, capture_output=True, text=True, timeout=_TIMEOUT_S * 4, check=False)
        except subprocess.TimeoutExpired as error:
            raise PowerFailed(f"hub {self.location} port {self.port}: uhubctl does not end") from error
        last = [line for line in done.stdout.splitlines() if f"Port {self.port}:" in line][-1:]
        if done.returncode or not last or ("power" in last[0].split()) != on:
            said = (done.stderr or done.stdout).strip().splitlines()
            raise PowerFailed(f"hub {self.location} port {self.port}: {said[-1] if said else 'uhubctl says nothing'}")


@dataclass(frozen=True, slots=True)
class Tasmota:
    """A channel of a plug with Tasmota firmware: GET /cm?cmnd=Power1 On."""

    url: str
    channel: int = 1

    def turn(self, on: bool) -> None:
        """The plug answers with its new state: {"POWER1": "ON"}; {"POWER": ...} if it has one channel."""
        wanted = "ON" if on else "OFF"
        ask = f"{self.url.rstrip('/')}/cm?cmnd={urllib.parse.quote(f'Power{self.channel} {wanted}')}"
        try:
            with urllib.request.urlopen(ask, timeout=_TIMEOUT_S) as answer:
                said = json.loads(answer.read(4096))
            state = said.get(f"POWER{self.channel}", said.get("POWER"))
        except (OSError, urllib.error.URLError, ValueError, AttributeError) as error:
            raise PowerFailed(f"plug {self.url}: {error}") from error
        if state != wanted:
            raise PowerFailed(f"plug {self.url}: channel {self.channel} says {state} instead of {wanted}")


@dataclass(frozen=True, slots=True)
class Relay:
    """A channel of a serial relay board with the four-byte frame A0 channel state sum; it confirms nothing."""

    device: str
    channel: int = 1
    baud: int = 9600
    normally_closed: bool = False

    def turn(self, on: bool) -> None:
        """Closes or opens the contact; `normally_closed`: the thing has power while the relay rests."""
        import serial

        state = int(on != self.normally_closed)
        frame = bytes((0xA0, self.channel, state))
        try:
            with serial.Serial(self.device, self.baud, timeout=_TIMEOUT_S, write_timeout=_TIMEOUT_S) as port:
                port.write(frame + bytes((sum(frame) & 0xFF,)))
                port.flush()
        except (serial.SerialException, OSError) as error:
            raise PowerFailed(f"relay board {self.device}: {error}") from error
