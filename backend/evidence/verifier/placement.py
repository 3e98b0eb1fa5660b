"""Where the devices of a bundle stand: the salted commitment that was anchored when a key was registered, opened.

1. There is one placement for each key that was approved or rotated, in the order of the keys, and none more.
2. It names the key and its role, and of a light node and an agent the POD of the bundle; an issuer stands at none.
3. Its salt of 32 bytes is its own: without it nobody finds the POD that was committed to.
"""

from collections.abc import Sequence
from typing import Any

from backend.evidence.verifier.document import TREE_KEYS, Documents
from backend.evidence.verifier.finding import NotValid
from backend.evidence.verifier.registry import ISSUER, Registry
from backend.evidence.verifier.sheet import compare, octets, record

FIELDS = ("format", "device", "generation", "role", "pod", "salt")
_SALT_BYTES = 32


def read_placements(rows: Sequence[Any], registry: Registry, pod: str, documents: Documents) -> None:
    """NotValid unless every key stands where the bundle says."""
    keys = registry.placed()
    if len(rows) != len(keys):
        raise NotValid("placements", f"are {len(rows)}, {len(keys)} keys were approved")
    for k, (row, (id, generation, role)) in enumerate(zip(rows, keys, strict=True)):
        where = f"placements[{k}]"
        record(row, ("body", "evidence", "receipt"), where)
        found = documents.read(row, f"placement/{id.hex()}/{generation}", TREE_KEYS, where)
        body = record(found, FIELDS, f"{where}, body")
        octets(body["salt"], f"{where}, body, salt", _SALT_BYTES)
        expected = {
            "format": "lightnode-placement/1", "device": id.hex(), "generation": generation, "role": role,
            "pod": "" if role == ISSUER else pod,
        }  # fmt: skip
        compare({name: body[name] for name in expected}, expected, f"{where}, body")
