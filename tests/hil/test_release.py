"""Which release, components and keyring: from what the system says of itself and what its apt knows."""

from pathlib import Path

import pytest

from hil.release import release

UBUNTU = {"ID": "ubuntu", "VERSION_CODENAME": "noble"}
MIRROR = "http://mirror.example/debian"


def apt_knows(folder: Path, monkeypatch: pytest.MonkeyPatch, *rows: str) -> None:
    """An apt-cache on PATH that lists these rows."""
    tool = folder / "apt-cache"
    tool.write_text(
        "#!/bin/sh\ncat <<'END'\n" + "".join(f" micropython | {row} amd64 Packages\n" for row in rows) + "END\n"
    )
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder), prepend=":")


def test_rule_1_ubuntu_is_its_own_release_with_universe_and_its_own_key() -> None:
    found = release(UBUNTU, "trixie", (1, 22))
    assert (found.origin, found.suite, found.components) == ("Ubuntu", "noble", "main universe")
    assert found.keyring == Path("/usr/share/keyrings/ubuntu-archive-keyring.gpg")


@pytest.mark.parametrize(
    ("rows", "suite"),
    [
        ([], "trixie"),
        ([f"1.14+ds-1 | {MIRROR} own/main"], "trixie"),
        ([f"1.26.1-2 | {MIRROR} own/main"], "own"),
        ([f"1.26.1-2 | {MIRROR} own-backports/main"], "trixie"),
        ([f"1.14+ds-1 | {MIRROR} own/main", f"1.22.0 | {MIRROR} own/main"], "own"),
    ],
)
def test_rule_2_debian_is_its_own_release_only_if_that_has_a_new_enough_vm(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows: list[str], suite: str
) -> None:
    apt_knows(tmp_path, monkeypatch, *rows)
    found = release({"ID": "debian", "VERSION_CODENAME": "own"}, "trixie", (1, 22))
    assert (found.origin, found.suite, found.components) == ("Debian", suite, "main")
    assert found.keyring == Path("/usr/share/keyrings/debian-archive-keyring.gpg")


@pytest.mark.parametrize("system", [{}, {"ID": "fedora", "VERSION_CODENAME": ""}, {"ID": "ubuntu"}])
def test_rule_3_other_systems_are_refused(system: dict[str, str]) -> None:
    with pytest.raises(OSError, match="on Debian and Ubuntu only"):
        release(system, "trixie", (1, 22))
