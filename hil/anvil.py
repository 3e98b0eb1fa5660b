"""anvil, a real Ethereum node for tests: found on PATH, else fetched once from npm; started and stopped by who needs it.

1. What is on PATH is used first. Else `npm pack` brings the package of this machine (one native program, 19 MB) into the
   cache folder of hil.runtime; what npm delivers must have the pinned digest.
2. Where npm or a package for the machine is missing, AnvilMissing says in one line what to type.
3. A node listens on loopback only and dies with its parent. With a state file it remembers over restarts what it had
   saved; what came after is lost, as in a node that was rolled back.
"""

import base64
import hashlib
import platform
import shutil
import socket
import subprocess
import tarfile
import tempfile
import time
from functools import cache
from pathlib import Path
from types import TracebackType
from typing import Any

from backend.adapters.rpc import Endpoints
from backend.errors import Unavailable
from hil.errors import PartMissing
from hil.process import Child
from hil.runtime import cache_folder, locked

VERSION = "1.7.1"
CHAIN_ID = 31337
_PACKAGES = {  # by (system, machine): the package's suffix and the SHA-512 of its archive
    ("linux", "x86_64"): (
        "linux-amd64",
        "+XmShybEaxfCrr0OUUZwYEy2OnYZt5pHH9TzBtLv3+VrK0O/ANuNSVEahqNhKHlgX7GRJ59383ofNhxkRWIYTg==",
    ),
    ("linux", "aarch64"): (
        "linux-arm64",
        "ykHJmFOGdBR8+9smOKBm9ZZDCCCkLQctiHOAddLvmYx9mPeBDMfq6jP51hKYsO5MG8ClPLSlWe+JpiXPjoXgBQ==",
    ),
    ("darwin", "x86_64"): (
        "darwin-amd64",
        "OgwzwY+FsGrsPyDv4mmbhOwARO8s37YHrm2qaNzgSH4VlKnXgJCrnoT7bpgOhLyBPtxXjBT8L2E3b79deesXRg==",
    ),
    ("darwin", "arm64"): (
        "darwin-arm64",
        "JNeu3+A3f/npXLn8SR8EahVcqE7BpO9VQZMcPvSIy27/RNc1GsoEBvSLR99aSvt8sGKWAgNg/EzrtjAPq6mxcA==",
    ),
}
_CURE = "install npm ('apt install npm') or put anvil on PATH"
_START_S = 20.0
DEVELOPER_KEY = bytes.fromhex("ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80")
"""The published key of the first funded account of every such node: worth nothing anywhere."""


class AnvilMissing(PartMissing):
    """The node is not here and could not be fetched; the message names the cure."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"anvil is not here and could not be fetched ({reason}): {_CURE}")


@cache
def anvil_command() -> tuple[str, ...]:
    """The command that starts the node."""
    if found := shutil.which("anvil"):
        return (found,)
    known = _PACKAGES.get((platform.system().lower(), platform.machine()))
    if known is None:
        raise AnvilMissing(f"npm has none for {platform.system()} on {platform.machine()}")
    suffix, digest = known
    target = cache_folder() / f"anvil-{VERSION}-{suffix}"
    if not target.exists():
        folder = cache_folder() / "npm"  # not the lock of the other parts: their builds take minutes
        folder.mkdir(exist_ok=True)
        with locked(folder):
            if not target.exists():
                _fetch(target, f"@foundry-rs/anvil-{suffix}@{VERSION}", digest)
    return (str(target / "anvil"),)


def _fetch(target: Path, package: str, digest: str) -> None:
    npm = shutil.which("npm")
    if npm is None:
        raise AnvilMissing("there is no npm")
    with tempfile.TemporaryDirectory(dir=target.parent) as work:
        done = subprocess.run(
            [npm, "pack", "--silent", package], cwd=work, capture_output=True, text=True, timeout=300, check=False
        )
        archives = list(Path(work).glob("*.tgz"))
        if done.returncode or not archives:
            words = (done.stderr.strip().splitlines() or [f"npm ended with {done.returncode}"])[0]
            raise AnvilMissing(words)
        if base64.b64encode(hashlib.sha512(archives[0].read_bytes()).digest()).decode() != digest:
            raise AnvilMissing("what npm delivered has another digest than the pinned one")
        made = Path(work) / "made"
        made.mkdir()
        with tarfile.open(archives[0]) as archive:
            program = archive.extractfile("package/bin/anvil")
            assert program is not None
            (made / "anvil").write_bytes(program.read())
        (made / "anvil").chmod(0o755)
        made.rename(target)


class Anvil:
    """One node on a free loopback port; a context manager. `url` stays the same over restarts."""

    def __init__(self, folder: Path, *options: str, state: bool = False) -> None:
        """options: anvil's own; state: remembers what it saved when it was stopped in order."""
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._options = [
            *options,
            *(["--state", str(folder / "state.json"), "--preserve-historical-states"] if state else []),
        ]
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = int(free.getsockname()[1])
        self.url = f"http://127.0.0.1:{self.port}"
        self.rpc = Endpoints([self.url], 0)
        self._child: Child | None = None

    def __enter__(self) -> "Anvil":
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Starts it and waits until it answers."""
        command = [*anvil_command(), "--quiet", "--host", "127.0.0.1", "--port", str(self.port), *self._options]
        self._child = Child("anvil", command, self._folder / "anvil.log")
        end = time.monotonic() + _START_S
        while True:
            try:
                self.rpc.ask("eth_blockNumber")
                return
            except Unavailable as reason:
                if self._child.exit_code is not None or time.monotonic() > end:
                    raise PartMissing(f"anvil did not start: {self._child.last_words()}") from reason
                time.sleep(0.02)

    def stop(self) -> None:
        """SIGTERM: with a state file it saves."""
        if self._child is not None:
            self._child.stop(10.0)
            self._child = None

    def kill(self) -> None:
        """SIGKILL."""
        if self._child is not None:
            self._child.kill()
            self._child = None

    def do(self, method: str, *params: object) -> Any:
        """Any method of the node."""
        return self.rpc.ask(method, *params)

    def mine(self, blocks: int = 1) -> None:
        """Mines blocks at once."""
        self.do("anvil_mine", hex(blocks))

    def reorganise(self, depth: int) -> None:
        """The last `depth` blocks are replaced by empty ones; their transactions are gone."""
        self.do("anvil_reorg", depth, [])
