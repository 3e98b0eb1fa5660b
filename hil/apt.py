"""A private apt: the distribution's packages and sources without root, nothing on the system changed.

Its state lives in a folder that the caller throws away. The mirror is the one the machine's own apt uses.
"""

import shutil
import subprocess
import sys
from pathlib import Path

from hil.release import Release


def has_apt() -> bool:
    """Whether this system has what a private apt is made of."""
    return sys.platform == "linux" and bool(shutil.which("apt-get") and shutil.which("dpkg-deb"))


class PrivateApt:
    """apt over one release on the machine's own mirror; downloads land in `downloads`."""

    def __init__(self, folder: Path, source: Release, types: str = "deb") -> None:
        """types: "deb" or "deb-src". OSError or CalledProcessError if there is no apt or the mirror does not answer."""
        if not has_apt():
            raise OSError("this system has no apt")
        self.downloads = folder / "downloads"
        for name in ("lists/partial", "cache/archives/partial", "parts", "downloads"):
            (folder / name).mkdir(parents=True)
        (folder / "parts" / "mirror.sources").write_text(
            f"Types: {types}\nURIs: {_mirror(source.origin)}\nSuites: {source.suite}\n"
            f"Components: {source.components}\nSigned-By: {source.keyring}\n"
        )
        options = {
            "Dir::Etc::SourceList": "/dev/null",
            "Dir::Etc::SourceParts": folder / "parts",
            "Dir::State::Lists": folder / "lists",
            "Dir::Cache": folder / "cache",
            "Dir::State::status": "/dev/null",
            "APT::Sandbox::User": "",
            "Acquire::Languages": "none",
        }
        self._flags = [word for name, value in options.items() for word in ("-o", f"{name}={value}")]
        self.run("apt-get", "update")

    def run(self, tool: str, *words: str) -> str:
        """What apt-get or apt-cache said; its downloads go to `downloads`."""
        command = [tool, "-qq", *self._flags, *words]
        return subprocess.run(
            command, cwd=self.downloads, capture_output=True, text=True, check=True, timeout=600
        ).stdout

    def needed(self, *packages: str) -> set[str]:
        """The packages and all that they depend on, by name."""
        unwanted = ("recommends", "suggests", "conflicts", "breaks", "replaces", "enhances")
        listed = self.run("apt-cache", "depends", "--recurse", *(f"--no-{word}" for word in unwanted), *packages)
        return {line for line in listed.splitlines() if line[:1].isalpha()}

    def unpack(self, root: Path) -> None:
        """Unpacks every downloaded package into the folder."""
        root.mkdir()
        for package in sorted(self.downloads.glob("*.deb")):
            subprocess.run(["dpkg-deb", "-x", str(package), str(root)], capture_output=True, text=True, check=True)


def reason(error: Exception) -> str:
    """One line for the user: what the tool said last."""
    if isinstance(error, subprocess.CalledProcessError):
        lines = str(error.stderr or "").strip().splitlines()
        return f"{error.cmd[0]}: {lines[-1] if lines else error.returncode}"
    return str(error)


def _mirror(origin: str) -> str:
    """The address of the machine's own mirror of this origin, from apt itself."""
    listed = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(REPO_URI)", f"Origin: {origin}", "Created-By: Packages"],
        capture_output=True, text=True, check=True,
    ).stdout.splitlines()  # fmt: skip
    if not listed:  # never updated: the same without the origin, which only the lists know
        listed = subprocess.run(
            ["apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages"],
            capture_output=True, text=True, check=True,
        ).stdout.splitlines()  # fmt: skip
    usable = [uri for uri in listed if "security" not in uri]
    if not usable:
        raise OSError(f"apt names no {origin} mirror")
    return usable[0]
