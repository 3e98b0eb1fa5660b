"""Runs a session as a README shows it: the few words of a shell that it uses, in this process, at the times it names."""

import io
import re
import shlex
from contextlib import redirect_stdout
from datetime import datetime
from pathlib import Path

import pytest

from backend.cli import main

FOR = re.compile(r"for (\w+) in (.+?); do (.+); done")


def blocks(readme: Path, heading: str) -> list[str]:
    """The indented lines below a heading, up to the next one."""
    part = readme.read_text().split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]
    return [line.strip() for line in part.splitlines() if line.startswith("    ")]


class Shell:
    """A folder at an instant. `# 2026-11-26T09:00+01:00` is the time from then on."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._go = monkeypatch.chdir
        self._go(folder)
        self.now = ""
        self.said: dict[str, str] = {}

    def now_ms(self) -> int:
        return round(datetime.fromisoformat(self.now).timestamp() * 1000)

    def run(self, line: str, code: int = 0) -> str:
        """What a line prints; its exit code must be this one."""
        if line.startswith("#"):
            self.now = line.removeprefix("#").strip()
            return ""
        if found := FOR.fullmatch(line):
            name, values, body = found.groups()
            bodies = [body.replace(f"${{{name}^^}}", v.upper()).replace(f"${name}", v) for v in values.split()]
            return "".join(self.run(one) for one in bodies)
        words = [w for word in shlex.split(line) for w in self._spread(word)]
        if words[0] == "cd":
            self._go(words[1])
            return ""
        if words[0] == "mkdir":
            for word in words[2:]:
                Path(word).mkdir(parents=True, exist_ok=True)
            return ""
        return self._lightnode(line, words, code)

    def _spread(self, word: str) -> list[str]:
        return sorted(map(str, Path().glob(word))) if "*" in word else [word]

    def _lightnode(self, line: str, words: list[str], code: int) -> str:
        target = Path(words.pop()) if words[-2] == ">" else None
        arguments = words[1:-1] if target else words[1:]
        out = io.StringIO()
        with redirect_stdout(out):
            done = main(arguments, self.now_ms)
        assert words[0] == "lightnode" and done == code, (line, done, out.getvalue()[:2000])
        if target:
            target.write_text(out.getvalue())
        self.said[" ".join(arguments[:2])] = out.getvalue()
        return out.getvalue()
