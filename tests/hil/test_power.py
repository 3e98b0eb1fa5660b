"""Power switches over their real protocols: a plug on loopback, a relay board on a pseudo terminal, uhubctl's own words."""

import os
import threading
import tty
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from hil.power import PowerFailed, Relay, Tasmota, Uhubctl, cycle


class Plug(BaseHTTPRequestHandler):
    """Tasmota's command interface: GET /cm?cmnd=Power1%20ON."""

    asked: list[str] = []
    stuck = False

    def do_GET(self) -> None:
        self.asked.append(self.path)
        state = "ON" if "ON" in self.path and not self.stuck else "OFF"
        body = b'{"POWER1": "%s"}' % state.encode()
        self.send_response(200)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        return


@pytest.fixture
def plug() -> Iterator[str]:
    Plug.asked, Plug.stuck = [], False
    server = ThreadingHTTPServer(("127.0.0.1", 0), Plug)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_a_plug_is_turned_off_and_on(plug: str) -> None:
    cycle(Tasmota(plug), 0.0)
    assert Plug.asked == ["/cm?cmnd=Power1%20OFF", "/cm?cmnd=Power1%20ON"]


def test_a_plug_that_does_not_switch_or_is_not_there_is_named(plug: str) -> None:
    Plug.stuck = True
    with pytest.raises(PowerFailed, match="says OFF instead of ON"):
        Tasmota(plug).turn(True)
    with pytest.raises(PowerFailed, match=r"plug http://127\.0\.0\.1:9"):
        Tasmota("http://127.0.0.1:9").turn(True)


@pytest.mark.parametrize(("closed", "frame"), [(False, "a00201a3"), (True, "a00200a2")])
def test_a_relay_gets_its_frame(closed: bool, frame: str) -> None:
    master, slave = os.openpty()
    tty.setraw(slave)
    Relay(os.ttyname(slave), 2, normally_closed=closed).turn(True)
    assert os.read(master, 16).hex() == frame
    os.close(master)
    os.close(slave)


def uhubctl(folder: Path, says: str, code: int = 0) -> str:
    program = folder / "uhubctl"
    program.write_text(f"#!/bin/sh\necho \"$@\" >> {folder}/asked\nprintf '%b' '{says}'\nexit {code}\n")
    program.chmod(0o755)
    return str(program)


def test_a_hub_port_is_believed_only_when_uhubctl_says_so(tmp_path: Path) -> None:
    """Lines as uhubctl 2.5 prints them."""
    off = "Current status for hub 1-1\\n  Port 2: 0503 power highspeed enable connect\\nNew status\\n  Port 2: 0000 off\\n"
    command = uhubctl(tmp_path, off)
    Uhubctl("1-1", 2, command).turn(False)
    assert (tmp_path / "asked").read_text() == "-l 1-1 -p 2 -a off\n"
    with pytest.raises(PowerFailed, match="hub 1-1 port 2"):
        Uhubctl("1-1", 2, command).turn(True)


def test_a_hub_that_is_not_there_is_named(tmp_path: Path) -> None:
    command = uhubctl(tmp_path, "No compatible devices detected at location 1-1!\\n", 1)
    with pytest.raises(PowerFailed, match="No compatible devices detected"):
        Uhubctl("1-1", 2, command).turn(True)
    with pytest.raises(PowerFailed, match="apt install uhubctl"):
        Uhubctl("1-1", 2, str(tmp_path / "nothing")).turn(True)
