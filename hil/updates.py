"""Makes releases, puts one into a device as a factory does, and serves one over the broker.

1. Releases, and what they leave in a device, are made by the flasher (`lightflash.release`, `lightflash.compiled`).
2. The publisher answers each wish with exactly that piece, and nothing else.
"""

import shutil
import ssl
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import paho.mqtt.client as mqtt
from lightflash import board as boards
from lightflash import release as releases
from lightflash.compiled import compiled
from lightflash.key import Key
from lightflash.release import Release
from lightwire import topics, update
from lightwire.errors import WireError
from paho.mqtt.enums import CallbackAPIVersion

from hil.bench import Bench
from hil.nodes import FIRMWARE, NodeFailed, VirtualNode

_DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True)
class Terms:
    """What a manifest says beside its files; see FORMAT.md, kind 17."""

    sequence: int
    hardware: str = "unix"
    floor: int = 0
    version: int = 1 << 16
    created_ms: int = 0
    valid_ms: int = 30 * _DAY_MS
    key_generation: int = 1
    next_key: bytes = bytes(33)
    deployment: bytes = bytes(16)


def release(files: Mapping[str, bytes], terms: Terms, key: Key) -> Release:
    """A release of these files, also one that devices must refuse. WireError if they do not fit a listing."""
    said = releases.Terms(
        terms.sequence, terms.created_ms, terms.created_ms + terms.valid_ms, terms.deployment, terms.floor,
        terms.key_generation, terms.next_key,
    )  # fmt: skip
    version = terms.version >> 16, terms.version >> 8 & 0xFF, terms.version & 0xFF
    return releases.assembled(files, terms.hardware, version, said, key)


def application(changed: Mapping[str, str] | None = None, board: str = "unix") -> dict[str, bytes]:
    """The application as it is released for a board. changed: other sources of lightnode and lightwire, by path."""
    if not changed:
        return dict(compiled(FIRMWARE, boards.board(board)).application)
    with tempfile.TemporaryDirectory() as folder:
        firmware = Path(folder)
        for name in ("device", "lightboot", "lightnode", "lightwire"):
            shutil.copytree(FIRMWARE / name, firmware / name, ignore=shutil.ignore_patterns("__pycache__"))
        for path, source in changed.items():
            (firmware / path).write_text(source)
        return dict(compiled(firmware, boards.board(board)).application)


def install(root: Path, first: Release) -> None:
    """The release is in the device as the committed one, as the factory or the cable leaves it."""
    for path, data in releases.on_device(first).items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(data)


def furnish(node: VirtualNode, first: Release, key: Key, hardware: str = "unix") -> None:
    """A node that has not started yet gets chooser, main and the release as a factory leaves them, and the update key."""
    boot, root = node.folder / "boot", node.folder / "app"
    shutil.copytree(FIRMWARE / "lightboot", boot / "lightboot", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(FIRMWARE / "device" / "main.py", boot)
    install(root, first)
    node.settings["update"] = {"root": str(root), "key": key.public.hex()}
    node.settings["hardware"] = hardware
    node.save()
    node.boot = boot


def live_on(bench: Bench, pod: str) -> None:
    """One slot for everybody; a node that ended is started again, as a board resets."""
    node = bench.nodes[pod]
    if node.child is not None and node.child.exit_code is not None:
        bench.facts.pop(pod, None)
        with suppress(NodeFailed):
            bench.start_node(pod)
    bench.tick()


@dataclass
class Publisher:
    """Serves releases by sequence over the broker; a context manager. `pieces`: how many were sent.

    alter(sequence, path, offset, data) may change what is sent, as somebody on the way could.
    """

    host: str
    port: int
    context: ssl.SSLContext
    alter: Callable[[int, str, int, bytes], bytes] = lambda _sequence, _path, _offset, data: data
    pieces: int = 0
    _releases: dict[int, Release] = field(default_factory=dict)
    _client: mqtt.Client | None = None

    def __enter__(self) -> "Publisher":
        self._client = client = mqtt.Client(CallbackAPIVersion.VERSION2, "publisher")
        client.tls_set_context(self.context)
        client.on_message = self._answer
        client.connect(self.host, self.port)
        client.subscribe(topics.every_filter("fetch"), 1)
        client.loop_start()
        return self

    def __exit__(self, *_error: object) -> None:
        if self._client is not None:
            self._client.disconnect()
            self._client.loop_stop()

    def announce(self, device: bytes, made: Release) -> None:
        """Offers a release to a device, and serves it from now on."""
        self._releases[made.manifest.sequence] = made
        self.send(device, "update", made.announcement)

    def send(self, device: bytes, channel: str, payload: bytes) -> None:
        """Publishes any bytes; they are with the broker when it returns."""
        if self._client is not None:
            self._client.publish(topics.topic(device, channel), payload, 1).wait_for_publish(10)

    def _answer(self, client: mqtt.Client, _userdata: object, message: mqtt.MQTTMessage) -> None:
        try:
            device, _ = topics.parse(message.topic)
            sequence, path, offset, length = update.decode_wish(bytes(message.payload))
            data = self._releases[sequence].files[path][offset : offset + length]
        except (WireError, KeyError):
            return
        data = self.alter(sequence, path, offset, data)
        client.publish(topics.topic(device, "chunk"), update.encode_piece(sequence, path, offset, data), 1)
        self.pieces += 1
