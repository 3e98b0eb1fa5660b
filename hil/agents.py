"""Edge agents on this computer: one process each, as at a customer's site."""

import json
import secrets
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from backend.wiring import Identity as BackendIdentity
from hil.broker import Broker
from hil.errors import RigError
from hil.pki import Identity
from hil.process import Child


class AgentFailed(RigError):
    """An agent ended or refused; the message is its last line."""


@dataclass(slots=True)
class VirtualAgent:
    """One agent: its folder, its device, its process."""

    folder: Path
    pod: str
    device: bytes
    child: Child | None = None

    @property
    def config(self) -> Path:
        """agent.toml of this agent."""
        return self.folder / "agent.toml"

    def command(self, *words: str) -> list[str]:
        """The agent's program."""
        return [sys.executable, "-m", "edge_agent", *words]

    def save(
        self,
        back_end: BackendIdentity,
        node_key: bytes,
        broker: Broker,
        ca: Path,
        tls: Identity,
        ems: tuple[int, int],
        conductor: str,
    ) -> None:
        """Writes agent.toml; ems: (port, nameplate W)."""
        self.folder.mkdir(parents=True, exist_ok=True)
        issuer = back_end.issuer_key.public.hex()
        self.config.write_text(
            f'deployment = "{back_end.deployment.hex()}"\n'
            f'device = "{self.device.hex()}"\n'
            f'node_key = "{node_key.hex()}"\n'
            f"state_dir = {json.dumps(str(self.folder))}\n"
            f'conductor = "{conductor}"\n'
            f'[[issuers]]\nid = "{back_end.issuer.hex()}"\nrole = 1\nkey = "{issuer}"\n'
            f'[broker]\nhost = "{broker.host}"\nport = {broker.port}\n'
            f"ca = {json.dumps(str(ca))}\ncert = {json.dumps(str(tls.cert_pem))}\nkey = {json.dumps(str(tls.key_pem))}\n"
            f'[ems]\nhost = "127.0.0.1"\nport = {ems[0]}\nunit = 1\nnameplate_w = {ems[1]}\n'
        )

    def enrol(self) -> tuple[bytes, bytes]:
        """(nonce, sealed enrolment); AgentFailed with the agent's reason."""
        nonce = secrets.token_bytes(16)
        command = self.command("enrol", "--config", str(self.config), nonce.hex())
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
        if done.returncode:
            raise AgentFailed((done.stderr or "no message").strip().splitlines()[-1])
        return nonce, bytes.fromhex(json.loads(done.stdout)["enrolment"])

    def start(self) -> Child:
        """Starts it."""
        self.child = Child(
            f"agent {self.pod}", self.command("run", "--config", str(self.config)), self.folder / "agent.log"
        )
        return self.child

    def stop(self) -> None:
        """Stops it."""
        if self.child is not None:
            self.child.stop()

    def last_words(self) -> str:
        """The last line of its log."""
        return self.child.last_words() if self.child is not None else "never started"
