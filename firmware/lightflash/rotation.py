"""Where the statement of a key's rotation is kept until the register has it.

1. In a file, for `lightnode nodes rotate`: it answers a nonce of `lightnode nodes nonce`. Or in the outbox, for `sync`: it
   answers a nonce of the kit for the device's POD, one that nobody used or the device's own.
2. What is kept is given again: one rotation, one statement.
"""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from lightwire import envelope

from lightflash.errors import FlashError
from lightflash.kit import Kit
from lightflash.outbox import Outbox, Statement

FORMAT = "lightnode-rotation/1"
_STEP = "rotate-key"
_LARGEST = 1 << 16


class Place(Protocol):
    """Of one device's rotation. name: for a reader; nonce: 32 hexadecimal digits."""

    name: str
    nonce: str

    def kept(self) -> dict[str, Any] | None:
        """The statement that is there, None if there is none. FlashError if another one is."""
        ...

    def keep(self, statement: Mapping[str, Any]) -> None:
        """It is on disk."""
        ...


class InFile:
    """A file of its own."""

    def __init__(self, path: Path, nonce: str, device: str) -> None:
        self._path, self._device = path, device
        self.name, self.nonce = str(path), nonce

    def kept(self) -> dict[str, Any] | None:
        """Rule 2."""
        try:
            with self._path.open("rb") as file:
                found = json.loads(file.read(_LARGEST))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, RecursionError) as error:
            cause = f"{self._path} cannot be read as a statement"
            raise FlashError(_STEP, cause, "name another file with --out") from error
        wanted = FORMAT, self.nonce, self._device
        if not isinstance(found, dict) or tuple(found.get(k) for k in ("format", "nonce", "device")) != wanted:
            cure = "name another file with --out, or its nonce and device"
            raise FlashError(_STEP, f"{self._path} is of another rotation", cure)
        return found

    def keep(self, statement: Mapping[str, Any]) -> None:
        """It replaces what was there, whole."""
        fresh = self._path.with_name(self._path.name + ".new")
        with fresh.open("w") as file:
            json.dump(statement, file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(self._path)


class InOutbox:
    """The outbox, under a kit. pod: of the device, "" for what the outbox says; present: what the device says to `key`;
    is_over: the rotation that is meant may sign already."""

    def __init__(self, outbox: Outbox, kit: Kit, pod: str, present: Mapping[str, Any], is_over: bool) -> None:
        self._outbox, self._kit, self._device = outbox, kit, str(present["device"])
        self._least = int(present["generation"]) + (not is_over)
        enrolled = outbox.statement(self._device)
        self._pod = pod or (enrolled.pod if enrolled else "")
        self._is_of = (enrolled.name, enrolled.board) if enrolled else (self._device, "")
        if not self._pod:
            raise FlashError(_STEP, f"the outbox does not know device {self._device}", "name its POD with --pod")
        self.name = f"{outbox.folder} (kit {kit.id})"
        self.nonce = ""

    def check(self, now_ms: int) -> None:
        """The nonce. FlashError if the kit is not for this device now, or another device has its POD."""
        self._outbox.check(self._device, self._pod)
        there = self._there()
        if there is None:
            self._kit.check(self._pod, now_ms)
        nonces = self._kit.pods.get(self._pod, ())
        self.nonce = there.nonce if there else self._outbox.nonce_for(self._kit.id, self._pod, nonces, self._device)

    def _there(self) -> Statement | None:
        found = [one for one in self._outbox.rotations(self._device) if one.kit == self._kit.id]
        return next((one for one in reversed(found) if one.generation >= self._least), None)

    def kept(self) -> dict[str, Any] | None:
        """Rule 2."""
        there = self._there()
        if there is None:
            return None
        return {
            "format": FORMAT, "device": there.device, "generation": there.generation, "nonce": there.nonce,
            "public_key": there.public_key, "deployment": self._kit.deployment.hex(), "enrolment": there.enrolment,
        }  # fmt: skip

    def keep(self, statement: Mapping[str, Any]) -> None:
        """As a statement that waits for `sync`."""
        sealed = bytes.fromhex(statement["enrolment"])
        record: Any = envelope.peek(sealed)
        name, board = self._is_of
        self._outbox.save(
            Statement(
                self._device, name, board, self._kit.id, self._pod, self.nonce, record.generation, record.level,
                record.public_key.hex(), record.tls_fingerprint.hex(), sealed.hex(), "",
            )
        )  # fmt: skip
