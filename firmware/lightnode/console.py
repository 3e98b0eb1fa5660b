"""The installer's console: a line in, an answer out, while the node works.

1. A line has at most 64 characters: a command, the one word that it may want, and `json`, which makes the answer one line
   of JSON for programs. A line that is too long, unknown or incomplete is answered in one line that does not repeat it.
2. Reading and writing wait in the event loop, never in the port: who stops reading loses the rest of an answer after 2 s.
3. It shows what the commands answer and changes nothing itself. A command that refuses says why: `refused` and one line.
"""

import asyncio
import json

from .errors import NodeError

LINE_MAX = 64
_WRITE_S = 2
_CHUNK = 64
_ENDS = b"\r\n"
_ERASES = b"\x08\x7f"


class Console:
    """stream: read() gives one byte, b"" at the end; write(data) waits until it is taken; `echoes`: what is typed is to
    be shown. commands: name -> (what it does, coroutine function that gives a dict), and as third what the one word is
    called that it wants."""

    def __init__(self, stream, commands) -> None:  # type: ignore[no-untyped-def]
        self._stream = stream
        self._commands = commands

    async def run(self) -> None:
        """Until the stream ends."""
        line = b""
        last = b""
        while True:
            byte = await self._stream.read()
            if not byte:
                return
            if self._stream.echoes:
                await self._say(b"\b \b" if byte in _ERASES else b"\r\n" if byte in _ENDS else byte)
            if byte in _ENDS:
                if not (byte == b"\n" and last == b"\r"):
                    await self._say(await self._answer(line))
                line = b""
            elif byte in _ERASES:
                line = line[:-1]
            elif len(line) <= LINE_MAX:
                line += byte
            last = byte

    async def _answer(self, line: bytes) -> bytes:
        if len(line) > LINE_MAX:
            return b"the line is too long\r\n"
        if not all([32 <= byte < 127 for byte in line]):
            return b"only printable ASCII is understood\r\n"
        words = line.decode().split()
        if not words:
            return b""
        as_json = len(words) > 1 and words[-1] == "json"
        name, given = words[0], words[1 : len(words) - as_json]
        if name == "help" and not given:
            return self._shown(name, self._help(), as_json)
        if name not in self._commands:
            return b"no such command, try help\r\n"
        wanted = self._commands[name][2:]
        if len(given) != len(wanted):
            return (
                f"{wanted[0]} belongs behind {name}" if wanted else "only json may stand behind a command"
            ).encode() + b"\r\n"
        try:
            answer = await self._commands[name][1](*given)
        except NodeError as error:
            return self._shown(name, {"refused": str(error)}, as_json)
        return self._shown(name, answer, as_json)

    def _help(self) -> dict[str, object]:
        return {" ".join((name,) + entry[2:]): entry[0] for name, entry in self._commands.items()}

    @staticmethod
    def _shown(command: str, answer: dict[str, object], as_json: bool) -> bytes:
        if as_json:
            return json.dumps({"command": command, "answer": answer}).encode() + b"\r\n"
        rows = []
        for name in sorted(answer):
            value = answer[name]
            if isinstance(value, list):
                rows += [str(entry) for entry in value]
            else:
                rows.append(f"{name}: {value}")
        return "".join([row + "\r\n" for row in rows]).encode()

    async def _say(self, text: bytes) -> None:
        try:
            for at in range(0, len(text), _CHUNK):
                await asyncio.wait_for(self._stream.write(text[at : at + _CHUNK]), _WRITE_S)
        except asyncio.TimeoutError:
            return  # rule 2
