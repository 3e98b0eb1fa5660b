"""The parts on PATH are used if they are new enough; else one line names what was found, what is needed, and the cure."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from hil import runtime
from hil.release import Release

FINDS = {"micropython": runtime.micropython_command, "mosquitto": runtime.mosquitto_command}


@pytest.fixture(autouse=True)
def fresh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Nothing remembered from other tests; a cache of our own."""
    runtime._locate.cache_clear()
    monkeypatch.setenv("LIGHTNODE_CACHE", str(tmp_path / "cache"))
    yield
    runtime._locate.cache_clear()


def on_path(folder: Path, monkeypatch: pytest.MonkeyPatch, name: str, script: str) -> Path:
    tool = folder / name
    tool.write_text(f"#!/bin/sh\necho asked >>{folder}/asked\n{script}\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder), prepend=":")
    return tool


@pytest.mark.parametrize(
    ("part", "script"),
    [
        ("micropython", "echo \"(1, 22, 0, '')\""),
        ("micropython", 'echo "(2, 0, 0)"'),
        ("mosquitto", "echo 'mosquitto version 2.0.11'; exit 3"),
        ("mosquitto", "echo 'mosquitto version 2.1.2' >&2"),
    ],
)
def test_rule_1_what_is_on_path_and_new_enough_is_used_and_asked_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, part: str, script: str
) -> None:
    tool = on_path(tmp_path, monkeypatch, part, script)
    assert [FINDS[part](), FINDS[part]()] == [[str(tool)]] * 2
    assert (tmp_path / "asked").read_text() == "asked\n"


@pytest.mark.parametrize(
    ("part", "script", "says"),
    [
        ("micropython", "echo '(1, 19, 1)'", "micropython 1.19, 1.22 or later is needed: 'apt install micropython'"),
        ("micropython", "exit 1", "micropython of no known version, 1.22 or later is needed: 'apt install"),
        (
            "mosquitto",
            "echo 'mosquitto version 1.6.9'",
            "mosquitto 1.6, 2.0 or later is needed: 'apt install mosquitto'",
        ),
        ("mosquitto", "printf '\\377'", "mosquitto of no known version, 2.0 or later"),
    ],
)
def test_rule_3_a_part_that_is_too_old_is_named_with_both_versions_and_the_cure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, part: str, script: str, says: str
) -> None:
    tool = on_path(tmp_path, monkeypatch, part, script)
    with pytest.raises(runtime.RuntimePartMissing) as error:
        FINDS[part]()
    assert str(error.value).startswith(f"{tool} is {says}")


def test_rule_2_the_source_list_names_suite_components_and_key_of_the_release(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_path(
        tmp_path, monkeypatch, "apt-get", f'echo "$*" >>{tmp_path}/words; echo http://mirror.example/ubuntu; exit 0'
    )
    on_path(tmp_path, monkeypatch, "apt-cache", "echo micropython")
    work = tmp_path / "work"
    runtime._fetch(work, Release("Ubuntu", "noble", "main universe", Path("/keys/ubuntu.gpg")))
    assert (work / "apt" / "parts" / "mirror.sources").read_text().splitlines() == [
        "Types: deb", "URIs: http://mirror.example/ubuntu", "Suites: noble", "Components: main universe",
        "Signed-By: /keys/ubuntu.gpg",
    ]  # fmt: skip
    assert "Origin: Ubuntu" in (tmp_path / "words").read_text()


def test_rule_3_a_system_that_is_neither_debian_nor_ubuntu_gets_the_cure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtime, "machine", lambda: {"ID": "fedora"})
    monkeypatch.setattr(runtime.sys, "platform", "linux")
    monkeypatch.setattr(
        runtime.shutil, "which", lambda name, path=None: "/x/" + name if name.startswith(("apt", "dpkg")) else None
    )
    with pytest.raises(
        runtime.RuntimePartMissing, match=r"Debian and Ubuntu only, this is fedora\): 'apt install mosq"
    ):
        runtime.mosquitto_command()
