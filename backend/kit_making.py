"""lightnode kit: makes kits for technicians, lists them, closes one."""

import argparse
import json
import os
import re
import time
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from backend.adapters.authority import as_pem
from backend.adapters.kits import KitStore
from backend.adapters.sqlite import SqliteStore
from backend.errors import Rejected
from backend.flows.kits import KitTerms, make_kit
from backend.wiring import make_identity

_DAY_MS = 86_400_000
_POD = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,31}")  # as lists of devices have it
_MOST_PODS = 10_000


def run(options: argparse.Namespace) -> dict[str, object]:
    """What there is to say. Rejected, Unavailable."""
    if options.command != "make" and not (options.folder / "scd.sqlite").exists():
        raise Rejected(f"{options.folder} has no scd.sqlite: name the back end's folder")
    options.folder.mkdir(parents=True, exist_ok=True)
    store = SqliteStore(options.folder / "scd.sqlite")
    try:
        kits = KitStore(store)
        if options.command != "list":
            store.keep_notes_as_before()
        if options.command == "make":
            return _made(options, kits)
        if options.command == "list":
            return {"kits": [_row(kits, kit.id) for kit in kits.kits()]}
        if not kits.close(options.kit):
            raise Rejected(f"kit {options.kit.hex()} is not ours")
        return {"kits": [_row(kits, options.kit)]}
    finally:
        store.close()


def _made(options: argparse.Namespace, kits: KitStore) -> dict[str, object]:
    identity = make_identity(options.folder / "keys", options.deployment)
    host, port = options.broker
    settings: dict[str, object] = {
        "deployment": options.deployment.hex(), "operator": identity.operator.hex(), "log_key": identity.log_key.public.hex(),
        "issuers": [{"id": identity.issuer.hex(), "role": 1, "key": identity.issuer_key.public.hex()}],
        "update_key": options.update_key.hex() if options.update_key else None,
    }  # fmt: skip
    now_ms = time.time_ns() // 1_000_000
    broker = {"host": host, "port": port, "ca": _der(options.ca).hex()}
    pods = _pods(options.pods)
    terms = KitTerms(settings, broker, pods, now_ms, now_ms + options.days * _DAY_MS, options.nonces)
    try:
        descriptor = os.open(options.out, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise Rejected(f"{options.out} cannot be made ({error.strerror}): name a file that is not there") from error
    with os.fdopen(descriptor, "wb") as file:
        content, authority = make_kit(kits, terms, identity.log_key)
        file.write(content)
    with options.devices.open("ab") as file:
        file.write(as_pem(authority))
    id = json.loads(content)["body"]["kit"]
    return {"file": str(options.out), "operator": identity.operator.hex(), **_row(kits, bytes.fromhex(id))}


def _row(kits: KitStore, id: bytes) -> dict[str, object]:
    kit = next(one for one in kits.kits() if one.id == id)
    total, used = kits.count(id)
    return {"kit": id.hex(), "to_ms": kit.to_ms, "nonces": total, "used": used, "closed": kit.closed}


def _pods(path: Path) -> list[str]:
    try:
        pods = [line.strip() for line in path.read_text().splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise Rejected(f"{path} cannot be read: name a text file with one POD a line") from error
    wrong = [pod for pod in pods if not _POD.fullmatch(pod)]
    if wrong or not pods or len(pods) > _MOST_PODS or len(set(pods)) < len(pods):
        said = (
            f"{wrong[0][:40]!r} is no POD" if wrong else f"{len(pods)} PODs, of which {len(set(pods))} different ones"
        )
        raise Rejected(f"{path}: {said}; 1 to {_MOST_PODS} different ones belong there")
    return pods


def _der(path: Path) -> bytes:
    try:
        return x509.load_pem_x509_certificate(path.read_bytes()).public_bytes(Encoding.DER)
    except (OSError, ValueError) as error:
        raise Rejected(f"{path} is no certificate in PEM: name the broker's authority") from error
