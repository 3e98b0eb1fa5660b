"""The local topic's link to its broker: whoever is silent is left and tried again."""

import asyncio
from typing import Any

import pytest
from lightnode.ems_map import EmsBlock
from lightnode.ems_topic import LocalTopic

from tests.lightnode.parts import DEVICE, Settings

SETTINGS = Settings(ems__broker="b:1", ems__ca="a", broker__ca="c", broker__cert="d", broker__key="e")


class Board:
    """Its broker hangs before or behind the connection."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.tried = 0

    async def connect(self, host: str, port: int, *files: str) -> Any:
        self.tried += 1
        if self.port == 0:
            await asyncio.Event().wait()
        return await asyncio.open_connection("127.0.0.1", self.port)


@pytest.mark.parametrize("takes", [False, True])
def test_a_broker_that_says_nothing_is_left_and_tried_again(monkeypatch: pytest.MonkeyPatch, takes: bool) -> None:
    monkeypatch.setattr("lightnode.ems_topic._OPEN_S", 0.01)
    monkeypatch.setattr("lightnode.ems_topic._PAUSE_MIN_MS", 1)

    async def hold(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    async def scene() -> int:
        server = await asyncio.start_server(hold, "127.0.0.1", 0)
        board = Board(server.sockets[0].getsockname()[1] if takes else 0)
        topic = LocalTopic(board, SETTINGS, DEVICE, lambda: {"sequence": 0}, EmsBlock())
        running = asyncio.create_task(topic.run())
        async with asyncio.timeout(5):
            while board.tried < 3:
                await asyncio.sleep(0.001)
        running.cancel()
        server.close()
        assert not topic.connected
        return board.tried

    assert asyncio.run(scene()) == 3
