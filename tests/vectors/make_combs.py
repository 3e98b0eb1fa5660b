"""Writes firmware/lightwire/comb_secp256k1.py: its comb table, with points computed by `cryptography`, not by our own curve code.

Entry (block u, index i) of a comb with t teeth and c columns: 2^(c u) * (2^(2c (t-1)) G + sum over j < t-1 of +-2^(2c j) G),
sign + where bit j of i is set; 64 bytes x || y. Run: python tests/vectors/make_combs.py FOLDER
"""

import sys
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec

CURVES: dict[str, tuple[ec.EllipticCurve, int, int, int]] = {  # order, teeth, columns
    "secp256k1": (ec.SECP256K1(), 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141, 8, 8),
    "p256": (ec.SECP256R1(), 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551, 6, 22),
}


def table(name: str) -> bytes:
    curve, order, teeth, columns = CURVES[name]
    out = b""
    for block in (0, 1):
        for index in range(1 << teeth - 1):
            signs = [1 if index >> j & 1 else -1 for j in range(teeth - 1)] + [1]
            k = sum(sign << (2 * columns * j) for j, sign in enumerate(signs))
            point = ec.derive_private_key((k << (columns * block)) % order, curve).public_key().public_numbers()
            out += point.x.to_bytes(32, "big") + point.y.to_bytes(32, "big")
    return out


def module(name: str) -> str:
    data = table(name)
    rows = "\n".join(f"    {data[i : i + 32]!r}" for i in range(0, len(data), 32))
    return f'"""Comb table of {name}, made by tests/vectors/make_combs.py."""\n\n# fmt: off\nTABLE = (\n{rows}\n)\n'


if __name__ == "__main__":
    (Path(sys.argv[1]) / "comb_secp256k1.py").write_text(module("secp256k1"))
