"""What `lightnode grid field` does: registers field devices in a database, and takes in what they send."""

import argparse
import json
import sys
import time
from contextlib import closing, suppress

from backend.adapters.field_store import FieldSensor, FieldStore
from backend.adapters.field_tcp import FieldListener
from backend.adapters.sqlite import SqliteStore
from backend.errors import Rejected
from backend.flows.field import FieldIntake

_KEY_BYTES = 32
_ID_DIGITS = 16
_POLL_S = 0.2


def run(options: argparse.Namespace) -> tuple[dict[str, object], str]:
    """(document, text): what was registered, or how many messages were taken and refused."""
    if (options.register is None) == (options.listen is None):
        raise Rejected("grid field: give either --register ID or --listen HOST:PORT")
    with closing(SqliteStore(options.db)) as store:
        store.keep_notes_as_before()
        field = FieldStore(store)
        return _register(options, field) if options.register is not None else _listen(options, field)


def _register(options: argparse.Namespace, store: FieldStore) -> tuple[dict[str, object], str]:
    id = options.register
    if len(id) != _ID_DIGITS or set(id) - set("0123456789abcdef"):
        raise Rejected(f"--register {id[:40]}: a sensor's id is {_ID_DIGITS} hexadecimal digits in lower case")
    if not options.name or options.key is None:
        raise Rejected("--register needs --name, that of its measuring points, and --key, its key file")
    try:
        key = bytes.fromhex(options.key.read_text().strip())
    except ValueError:
        key = b""
    if len(key) != _KEY_BYTES:
        raise Rejected(f"{options.key}: expected a key of {2 * _KEY_BYTES} hexadecimal digits")
    if any(one.name == options.name and one.id != id for one in store.sensors().values()):
        raise Rejected(f"--name {options.name}: another sensor has it")
    store.register(FieldSensor(id, options.name, key))
    return {"registered": id, "name": options.name}, f"registered {id} as {options.name}"


def _listen(options: argparse.Namespace, store: FieldStore) -> tuple[dict[str, object], str]:
    host, _, port = options.listen.rpartition(":")
    if not host or not port.isdigit() or int(port) > 65_535:
        raise Rejected(f"--listen {options.listen}: expected HOST:PORT, as 127.0.0.1:4712 (port 0: any that is free)")
    taken = 0
    with FieldListener(host, int(port)) as listener:
        print(f"lightnode: field port on {':'.join(map(str, listener.address))}", file=sys.stderr, flush=True)
        intake = FieldIntake(store, listener, lambda: time.time_ns() // 1_000_000, _tell)
        with suppress(KeyboardInterrupt):
            while options.messages is None or taken + intake.refused < options.messages:
                reading = intake.run_once(_POLL_S)
                if reading is not None:
                    taken += 1
                    if not options.json:
                        print(
                            json.dumps({"sensor": reading.sensor, "seq": reading.seq, "time_ms": reading.time_ms}),
                            flush=True,
                        )
    return {"taken": taken, "refused": intake.refused}, f"{taken} taken, {intake.refused} refused"


def _tell(reason: str) -> None:
    print(f"lightnode: refused: {reason}", file=sys.stderr, flush=True)
