"""Writes firmware/lightwire/comb_*.py: the comb tables, with points computed by `cryptography`, not by our own curve code.

Entry (block u, index i): 2^(16 u) * (2^(7*32) G + sum over j < 7 of +-2^(32 j) G), sign + where bit j of i is set; 64
bytes x || y. Run: python tests/vectors/make_combs.py FOLDER
"""

import sys
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec

CURVES: dict[str, tuple[ec.EllipticCurve, int]] = {
    "secp256k1": (ec.SECP256K1(), 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141),
    "p256": (ec.SECP256R1(), 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551),
}


def table(name: str) -> bytes:
    curve, order = CURVES[name]
    out = b""
    for block in (0, 1):
        for index in range(128):
            k = (1 << 224) + sum((1 if index >> j & 1 else -1) << (32 * j) for j in range(7))
            point = ec.derive_private_key((k << (16 * block)) % order, curve).public_key().public_numbers()
            out += point.x.to_bytes(32, "big") + point.y.to_bytes(32, "big")
    return out


def module(name: str) -> str:
    data = table(name)
    rows = "\n".join(f"    {data[i : i + 32]!r}" for i in range(0, len(data), 32))
    return f'"""Comb table of {name}, made by tests/vectors/make_combs.py."""\n\n# fmt: off\nTABLE = (\n{rows}\n)\n'


if __name__ == "__main__":
    for curve_name in CURVES:
        (Path(sys.argv[1]) / f"comb_{curve_name}.py").write_text(module(curve_name))
