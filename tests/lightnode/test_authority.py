"""Which broker the node talks to: one whose certificate its own authority issued for that name, and that is in date."""

import socket
import ssl
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from hil.pki import Identity, Pki

STATION = "00/0000000000000000"
SCRIPT = """
import sys
sys.path.append(".frozen")
import asyncio
from lightnode import board_unix
from lightnode.mqtt import MqttError, Session

async def enter():
    reader, writer = await board_unix.connect("127.0.0.1", {port}, {ca!r}, {cert!r}, {key!r})
    session = Session(reader, writer, None, None)
    try:
        print(await session.connect("me", 60))
    finally:
        session.close()

try:
    asyncio.run(enter())
except (OSError, MqttError, ValueError) as error:
    print("refused")
"""


class Broker:
    """Takes one connection; `user`: who its certificate says the client is; `heard`: what came through TLS."""

    def __init__(self, server: Identity, clients: Path) -> None:
        self.user = ""
        self.heard = b""
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(server.cert_pem, server.key_pem)
        self._context.load_verify_locations(clients)
        self._context.verify_mode = ssl.CERT_REQUIRED
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(30)
        self.port = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        try:
            with self._listener, self._listener.accept()[0] as raw, self._context.wrap_socket(raw, True) as link:
                subject = link.getpeercert()["subject"]  # type: ignore[index]
                self.user = str(subject[0][0][1])
                self.heard = link.recv(1024)
                link.sendall(b"\x20\x02\x00\x00")
        except OSError:
            return

    def end(self) -> None:
        self._thread.join(30)


def named(pki: Pki, name: str) -> Identity:
    names = x509.SubjectAlternativeName([x509.DNSName(name)])
    return pki._issue(name, name, ExtendedKeyUsageOID.SERVER_AUTH, names)


def enter(micropython: Callable[[str], str], mine: Pki, server: Identity) -> tuple[str, Broker]:
    broker, client = Broker(server, mine.ca_pem), mine.client(STATION)
    files = {"ca": str(mine.ca_der), "cert": str(client.cert_der), "key": str(client.key_der)}
    said = micropython(SCRIPT.format(port=broker.port, **files)).strip()
    broker.end()
    return said, broker


@pytest.fixture
def mine(tmp_path: Path) -> Pki:
    made = Pki(tmp_path / "mine")
    made.keep_key()
    return made


def test_a_broker_of_its_own_authority_is_entered_under_its_certificates_name(
    micropython: Callable[[str], str], mine: Pki
) -> None:
    said, broker = enter(micropython, mine, mine.server())
    assert (said, broker.user) == ("False", STATION) and broker.heard[:1] == b"\x10"


@pytest.mark.parametrize("kind", ["another authority", "another name", "a client's", "out of date"])
def test_no_other_hears_a_word(micropython: Callable[[str], str], mine: Pki, tmp_path: Path, kind: str) -> None:
    server = {
        "another authority": lambda: Pki(tmp_path / "other").server(),
        "another name": lambda: named(mine, "elsewhere"),
        "a client's": lambda: mine.client("localhost"),
        "out of date": lambda: Pki(tmp_path / "late", valid_days=-0.5, authority=tmp_path / "mine").server(),
    }[kind]()
    said, broker = enter(micropython, mine, server)
    assert (said, broker.heard) == ("refused", b"")
