"""Light nodes on this computer: the firmware in the MicroPython VM, one process each."""

import json
import os
import secrets
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hil.errors import RigError
from hil.launcher import environment, launcher
from hil.pki import Identity
from hil.process import Child
from hil.runtime import micropython_command

FIRMWARE = Path(__file__).parents[1] / "firmware"
HEAP = "4M"


class NodeFailed(RigError):
    """A light node ended or refused; the message is its last line."""


@dataclass(slots=True)
class VirtualNode:
    """One light node: its folder, its settings, its process. is_launched: started by hil.launcher, which is told `launch`.
    heap: the VM's; collecting garbage takes as long as it is large."""

    folder: Path
    settings: dict[str, Any]
    child: Child | None = None
    device: bytes = b""
    boot: Path | None = None  # with main.py and the chooser: then it runs from the directories of its update root
    is_launched: bool = False
    launch: dict[str, int] = field(default_factory=dict)
    heap: str = HEAP

    def command(self, *words: str) -> list[str]:
        """The VM with the firmware."""
        vm = [*micropython_command(), "-X", f"heapsize={self.heap}"]
        if self.boot is not None:
            return [*vm, str(self.boot / "main.py"), self.settings["update"]["root"], str(self.config), *words]
        entry = [str(launcher(self.folder))] if self.is_launched else ["-m", "lightnode.app"]
        return [*vm, *entry, str(self.config), *words]

    @property
    def config(self) -> Path:
        """config.json of this node."""
        return self.folder / "config.json"

    @property
    def environment(self) -> Mapping[str, str]:
        """Where the VM finds the firmware."""
        return {"MICROPYPATH": f"{self.boot or FIRMWARE}:.frozen", **environment(**self.launch)}

    def save(self) -> None:
        """Writes config.json."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.config.write_text(json.dumps(self.settings, indent=1))

    def enrol(self) -> tuple[bytes, bytes]:
        """(nonce, sealed enrolment); makes the device's key. NodeFailed with the node's reason."""
        nonce = secrets.token_bytes(16)
        done = subprocess.run(
            self.command("enrol", nonce.hex()),
            env={**os.environ, **self.environment},
            capture_output=True,
            check=False,
            text=True,
            timeout=60,
        )
        if done.returncode:
            raise NodeFailed((done.stderr or done.stdout).strip().splitlines()[-1])
        answer = json.loads(done.stdout)
        self.device = bytes.fromhex(answer["device"])
        return nonce, bytes.fromhex(answer["enrolment"])

    def trust(self, identity: Identity) -> None:
        """Gives it its TLS identity."""
        self.settings["broker"] |= {"cert": str(identity.cert_der), "key": str(identity.key_der)}
        self.save()

    def start(self) -> Child:
        """Power on."""
        self.child = Child(f"node {self.device.hex()}", self.command("run"), self.folder / "node.log", self.environment)
        return self.child
