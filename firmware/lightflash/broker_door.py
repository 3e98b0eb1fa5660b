"""Whether a broker lets in who shows no certificate: tried from this computer, with nothing that could do harm.

1. The door is closed if TLS refuses, by an alert or by ending the connection after its handshake, before MQTT has answered. An
   answer, whichever it is, is an open door, and so is one that speaks no TLS or says nothing within the time.
2. Who the broker is, is not asked here: the device has verified that with its own authority.
"""

import contextlib
import socket
import ssl
from dataclasses import dataclass

TIMEOUT_S = 5.0
_CONNECT = bytes.fromhex("100e00044d515454040200050002") + b"ln"  # MQTT 3.1.1, clean session, client id `ln`
_BYE = b"\xe0\x00"


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of it, and for a reader."""

    is_closed: bool
    words: str


def knock(address: str) -> Answer:
    """address: host:port. OSError if nobody is there, or the connection ends before TLS has begun."""
    host, _, port = address.rpartition(":")
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with socket.create_connection((host, int(port)), timeout=TIMEOUT_S) as plain:
        try:
            with context.wrap_socket(plain, server_hostname=host) as talk:
                return _after(talk, str(talk.version()))
        except ssl.SSLError as error:
            return _by_tls(error)


def _after(talk: ssl.SSLSocket, version: str) -> Answer:
    try:
        talk.sendall(_CONNECT)
        said = talk.recv(4)
    except TimeoutError:
        return Answer(False, f"{version} without a certificate, no answer within {TIMEOUT_S:.0f} s")
    except (ssl.SSLError, ConnectionError):  # an alert, or a reset that came before it
        said = b""
    if not said:
        return Answer(True, f"{version}, refused without a certificate")
    with contextlib.suppress(OSError):
        talk.sendall(_BYE)
    return Answer(False, f"{version} without a certificate, and MQTT answered")


def _by_tls(error: ssl.SSLError) -> Answer:
    """Only an alert is a refusal: what is no TLS has none."""
    reason = (error.reason or "").lower().replace("_", " ")
    return Answer("alert" in reason, reason[:60] or "no TLS")
