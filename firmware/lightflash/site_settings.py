"""A device's settings for its site: what the technician says, with what the operator's kit says for every device.

1. A key of the kit that the file has too must be the same; a file for another operator is refused by that key.
2. What may be left out is filled in: where keys and certificates lie, the class of the board, its journal.
3. The whole is checked as `config` does before anything is written.
"""

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lightnode import settings as device

from lightflash import config
from lightflash.board import Board
from lightflash.errors import FlashError
from lightflash.kit import Kit
from lightflash.nesting import shallow

STATE = "/state"
_LARGEST = 8192
_STEP = "config"


def site_settings(path: Path, changes: Sequence[str], kit: Kit, board: Board) -> tuple[bytes, device.Settings]:
    """(the file for the device, the same checked). changes: KEY=VALUE, as `meter.ct_ratio=40`. FlashError by key."""
    document = _document(path)
    for change in changes:
        _put(document, *_change(change))
    for key, value in _of_kit(kit).items():
        _fill(document, key, value, path, must_agree=True)
    for key, value in _of_board(board).items():
        _fill(document, key, value, path, must_agree=False)
    content = (json.dumps(document, indent=1, sort_keys=True) + "\n").encode()
    with tempfile.TemporaryDirectory(prefix="lightnode-") as folder:
        whole = Path(folder) / path.name
        whole.write_bytes(content)
        try:
            return content, config.checked(whole, board)
        except FlashError as error:
            raise FlashError(_STEP, error.cause.replace(f"{folder}/", ""), error.cure) from error


def _of_kit(kit: Kit) -> dict[str, Any]:
    found = {key: kit.settings[key] for key in ("deployment", "operator", "log_key", "issuers")}
    found |= {"broker.host": kit.host, "broker.port": kit.port}
    if kit.settings.get("update_key"):
        found["update.key"] = kit.settings["update_key"]
    return found


def _of_board(board: Board) -> dict[str, Any]:
    found: dict[str, Any] = {
        "state_dir": STATE, "broker.ca": f"{STATE}/ca.der", "broker.cert": f"{STATE}/cert.der",
        "broker.key": f"{STATE}/key.der", "hardware": board.hardware, "conductor": None, "trace": False, "console": True,
    }  # fmt: skip
    journal = board.region("journal")
    if journal is not None:
        found |= {"journal.path": journal.label or "journal", "journal.bytes": journal.bytes}
    return found


def _document(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            data = file.read(_LARGEST + 1)
        found = json.loads(shallow(data)) if len(data) <= _LARGEST else None
    except OSError as error:
        raise FlashError(_STEP, f"{path} cannot be read ({error.strerror})", "name the site's settings") from error
    except (ValueError, RecursionError) as error:
        raise FlashError(_STEP, f"{path} is not JSON", "correct the file") from error
    if not isinstance(found, dict):
        raise FlashError(_STEP, f"{path} is not a JSON object of at most {_LARGEST} bytes", "correct the file")
    return found


def _change(text: str) -> tuple[str, Any]:
    key, separator, value = text.partition("=")
    if not separator or not key:
        raise FlashError(_STEP, f"{text!r} is no KEY=VALUE", "as --set meter.ct_ratio=40")
    try:
        return key, json.loads(value)
    except ValueError:
        return key, value


def _put(document: dict[str, Any], key: str, value: Any) -> None:
    table, _, inner = key.rpartition(".")
    if table:
        document = document.setdefault(table, {})
        if not isinstance(document, dict):
            raise FlashError(_STEP, f"{table} is no object", "correct the file")
    document[inner] = value


def _fill(document: dict[str, Any], key: str, value: Any, path: Path, must_agree: bool) -> None:
    table, _, inner = key.rpartition(".")
    found = document.get(table, {}) if table else document
    if isinstance(found, dict) and inner in found:
        if must_agree and found[inner] != value:
            cause = f"{path.name}: {key} is {repr(found[inner])[:60]}, the kit has {repr(value)[:60]}"
            raise FlashError(_STEP, cause, "leave the key out, or take the kit of that operator")
        return
    _put(document, key, value)
