"""Deliberately broken light nodes: a test run that does not catch them proves nothing.

mutants.toml describes each: what stands in a file of the firmware, what a bad day put there instead, and which tests have
to fail. A mutant is a copy of the firmware with that one change, and the tests run against the copy.
"""

import shutil
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[1]


class MutantError(ValueError):
    """A mutant whose text does not stand in its file exactly once: the code has moved on, and it must follow."""


@dataclass(frozen=True, slots=True)
class Mutant:
    """One change: `find` stands once in firmware/`file`, `put` takes its place; `tests` must fail."""

    name: str
    file: str
    find: str
    put: str
    tests: str

    def firmware(self, folder: Path) -> Path:
        """A firmware folder with the change, made below `folder`."""
        made = folder / "firmware"
        shutil.copytree(ROOT / "firmware", made, ignore=shutil.ignore_patterns("__pycache__"))
        path = made / self.file
        text = path.read_text()
        if text.count(self.find) != 1:
            raise MutantError(
                f"{self.name}: its text stands {text.count(self.find)} times in {self.file}, once is right"
            )
        path.write_text(text.replace(self.find, self.put))
        return made


@cache
def mutants() -> tuple[Mutant, ...]:
    """All of mutants.toml."""
    document = tomllib.loads(Path(__file__).with_suffix(".toml").read_text())
    return tuple(Mutant(name, **table) for name, table in document.items())


def is_caught(mutant: Mutant, folder: Path, timeout_s: float = 600) -> bool:
    """Whether a test fails on the mutant. MutantError if the tests could not even run."""
    firmware = mutant.firmware(folder)
    command = [
        sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider", "-p", "no:xdist",
        "-o", f"pythonpath={firmware} . tests", *mutant.tests.split(),
    ]  # fmt: skip
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=timeout_s, check=False)
    if done.returncode not in (0, 1):
        raise MutantError(f"{mutant.name}: the tests did not run: {done.stdout[-500:]}{done.stderr[-500:]}")
    return done.returncode == 1
