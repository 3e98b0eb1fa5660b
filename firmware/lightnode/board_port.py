"""What the boards with MicroPython's own network and files do alike: TLS, a small kept file, the console on the terminal."""

import asyncio
import os
import sys

_REASON = "/reason"


def keep_reason(folder: str, data: bytes) -> None:
    """Keeps why the device starts again, b"" to forget it; on return it survives loss of power. A cut leaves old or new.

    What cannot be written is not kept: a full or broken file system must not stop the reset.
    """
    path = folder + _REASON
    try:
        with open(path + ".new", "wb") as file:
            file.write(data)
            file.flush()
        os.rename(path + ".new", path)
    except OSError:
        return


def last_reason(folder: str) -> bytes:
    """What was kept, b"" if nothing is."""
    try:
        with open(folder + _REASON, "rb") as file:
            return file.read(1024)
    except OSError:
        return b""


def check_files(paths: list[str]) -> str:
    """The first of the paths that cannot be read; "" if all can. The number of a UART is no path."""
    for path in paths:
        if all([c in "0123456789" for c in path]):
            continue
        try:
            open(path, "rb").close()
        except OSError:
            return path
    return ""


def secured(host: str, ca: str, cert: str, key: str):  # type: ignore[no-untyped-def]
    """(context, server's name) of TLS with a client certificate; files in DER. OSError or ValueError if one is none."""
    import tls

    context = tls.SSLContext(tls.PROTOCOL_TLS_CLIENT)
    context.verify_mode = tls.CERT_REQUIRED  # type: ignore[attr-defined]
    with open(ca, "rb") as file:
        context.load_verify_locations(file.read())
    with open(cert, "rb") as file:
        certificate = file.read()
    with open(key, "rb") as file:
        context.load_cert_chain(certificate, file.read())
    return context, "localhost" if host.startswith("127.") else host


async def connect(host: str, port: int, ca: str, cert: str, key: str):  # type: ignore[no-untyped-def]
    """(reader, writer) of such a connection. OSError or ValueError if it fails.

    What it leaves open then, or when it is cancelled, the next collection of garbage closes.
    """
    context, name = secured(host, ca, cert, key)
    return await asyncio.open_connection(host, port, ssl=context, server_hostname=name)


class Terminal:
    """The board's own console as a stream of bytes. echoes: what is typed is to be shown by us; output: where to write."""

    def __init__(self, echoes: bool, output=None) -> None:  # type: ignore[no-untyped-def]
        self.echoes = echoes
        self._reader = asyncio.StreamReader(sys.stdin.buffer)  # type: ignore[arg-type]
        self._writer = asyncio.StreamWriter(output or sys.stdout.buffer, {})  # type: ignore[call-arg, arg-type]

    async def read(self) -> bytes:
        """One byte, b"" at the end of the input."""
        return await self._reader.read(1)

    async def write(self, data: bytes) -> None:
        """Waits until the port takes it. StreamWriter.write would begin without asking whether it does, and block."""
        self._writer.out_buf = data  # type: ignore[attr-defined]
        await self._writer.drain()
