"""A real mosquitto on a free loopback port: mutual TLS, one access rule per role, queues that do not drop.

The user name is the certificate's common name. A light node `<partition>/<id>` may write its own record, ask, decision,
fetch and status and read its own time, delivery, receipt, setpoint, update and chunk; its agent `agent/<partition>/<id>` may read the
decision and write the execution; `backend` may do the rest. Nobody is anonymous.

Authorities of kits (`lightnode kit make`) are trusted on a port of their own, where only the rules of light nodes and of
kits `kit/<id>` hold: who has a stolen kit is no back end there, whatever name its certificate says.
"""

import os
import signal
import socket
import ssl
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from hil.errors import PartMissing
from hil.pki import Pki
from hil.process import Child
from hil.runtime import mosquitto_command

NODE_WRITES = ("record", "ask", "decision", "fetch", "status")
NODE_READS = ("time", "delivery", "receipt", "setpoint", "update", "chunk")
_START_S = 10.0
_NO_LIMIT = 100_000_000  # with its own word for it, 0, mosquitto 2.0 ends the session of who is denied a message


class BrokerUnavailable(PartMissing):
    """The broker did not start; the message says why and what to do."""


class Broker:
    """One mosquitto; a context manager. `port` stays the same over restarts."""

    def __init__(self, folder: Path, pki: Pki, port: int = 0, kits: Path | None = None) -> None:
        """port: 0 takes a free one; kits: PEM file with the authorities of kits, for `device_port`."""
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._pki = pki
        self._server = pki.server()
        self._rights: list[str] = []
        self.host = "127.0.0.1"
        self.port = port or _free_port()
        self._kits = kits
        self.device_port = _free_port() if kits is not None else 0
        self._child: Child | None = None

    def __enter__(self) -> "Broker":
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return self._child is not None and self._child.exit_code is None

    def admit_agent(self, station: str) -> None:
        """Gives the agent of a device (`<partition>/<id>`) its rights."""
        self.admit(f"agent/{station}", reads=[f"ln/1/{station}/decision"], writes=[f"ln/1/{station}/execution"])

    def admit(self, user: str, reads: Sequence[str] = (), writes: Sequence[str] = ()) -> None:
        """Gives a user rights to topics; takes effect at once if the broker runs."""
        self._rights += [f"user {user}", *(f"topic read {t}" for t in reads), *(f"topic write {t}" for t in writes)]
        if self._child is not None:
            self._write_acl()
            os.kill(self._child.pid, signal.SIGHUP)

    def start(self) -> None:
        """Starts it and waits until it answers; BrokerUnavailable with the reason otherwise."""
        if _answers(self.host, self.port):
            raise BrokerUnavailable(f"port {self.port} is in use: stop the program there or give another port")
        self._write_acl()
        config = self._folder / "mosquitto.conf"
        config.write_text(self._config())
        config.chmod(0o600)
        self._child = Child("mosquitto", [*mosquitto_command(), "-c", str(config)], self._folder / "mosquitto.err")
        end = time.monotonic() + _START_S
        while not _answers(self.host, self.port):
            if self._child.exit_code is not None or time.monotonic() > end:
                raise BrokerUnavailable(f"mosquitto did not start: {self._child.last_words()}")
            time.sleep(0.02)

    def stop(self) -> None:
        """Stops it; what is queued for persistent sessions is kept in its folder."""
        if self._child is not None:
            self._child.stop()
            self._child = None

    def kill(self) -> None:
        """SIGKILL: what it had not yet saved is lost."""
        if self._child is not None:
            self._child.kill()
            self._child = None

    def _config(self) -> str:
        lines = [
            *(["user root"] if os.geteuid() == 0 else []),
            *(["per_listener_settings true"] if self._kits else []),
            *self._listener(self.port, self._pki.ca_pem, "acl"),
            *(self._listener(self.device_port, self._kits, "acl-devices") if self._kits else []),
            "persistence true",
            f"persistence_location {self._folder}/",
            "autosave_interval 5",
            f"max_queued_messages {_NO_LIMIT}",
            "max_inflight_messages 1000",
            "set_tcp_nodelay true",
            f"log_dest file {self._folder / 'mosquitto.log'}",
            "log_type error",
            "log_type warning",
        ]
        return "\n".join(lines) + "\n"

    def _listener(self, port: int, authorities: Path, acl: str) -> list[str]:
        return [
            f"listener {port} {self.host}",
            f"cafile {authorities}",
            f"certfile {self._server.cert_pem}",
            f"keyfile {self._server.key_pem}",
            "require_certificate true",
            "use_identity_as_username true",
            "allow_anonymous false",
            f"acl_file {self._folder / acl}",
        ]

    def _write_acl(self) -> None:
        lines = [f"pattern write ln/1/%u/{c}" for c in NODE_WRITES] + [f"pattern read ln/1/%u/{c}" for c in NODE_READS]
        self._write("acl-devices", [*lines, "pattern write ln/1/%u/enrol", "pattern read ln/1/%u/enrolled"])
        self._write("acl", [*lines, "user backend", "topic readwrite ln/1/#", *self._rights])

    def _write(self, name: str, lines: Sequence[str]) -> None:
        path = self._folder / name
        path.write_text("\n".join(lines) + "\n")
        path.chmod(0o600)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def _answers(host: str, port: int) -> bool:
    try:
        with socket.create_connection((host, port), timeout=0.5):
            return True
    except OSError:
        return False


def client_context(pki: Pki, cert: Path, key: Path) -> ssl.SSLContext:
    """The TLS settings of a CPython client of this broker."""
    context = ssl.create_default_context(cafile=str(pki.ca_pem))
    context.load_cert_chain(cert, key)
    return context
