"""The chip's toolchain: what is on PATH is used, and what cannot be had is named with its cure."""

from pathlib import Path

import pytest

from hil.mcu import toolchain


def test_rule_4_without_apt_and_tools_the_cure_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("LIGHTNODE_CACHE", str(tmp_path / "cache"))
    with pytest.raises(toolchain.ToolchainMissing) as missing:
        toolchain.environment()
    text = str(missing.value)
    assert "no apt" in text and "apt install gcc-arm-none-eabi" in text and "\n" not in text


def test_rule_3_unpacked_tools_are_found_in_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tools = tmp_path / "toolchain" / "usr" / "bin"
    tools.mkdir(parents=True)
    for name in ("arm-none-eabi-gcc", "qemu-system-arm", "make", "dpkg-source"):
        (tools / name).write_text("#!/bin/sh\n")
        (tools / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    monkeypatch.setenv("LIGHTNODE_CACHE", str(tmp_path))
    assert toolchain.environment()["PATH"].startswith(str(tools))


def test_rule_3_a_cache_that_lacks_a_tool_is_not_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "toolchain").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))
    monkeypatch.setenv("LIGHTNODE_CACHE", str(tmp_path))
    with pytest.raises(toolchain.ToolchainMissing, match="has no arm-none-eabi-gcc"):
        toolchain.environment()
