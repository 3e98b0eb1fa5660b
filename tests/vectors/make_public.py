"""Makes public.json from the package cryptography-vectors. Run, with the package in an environment of its own:

python tests/vectors/make_public.py FOLDER > tests/vectors/public.json   (FOLDER: its cryptography_vectors)

Nothing of the project is imported. A row is [name, curve, public key (compressed), digest (the leftmost 256 bits of the hash),
r || s as published, whether it is valid, the secret or ""]; s may be the high one. Each row is checked here with OpenSSL.
"""

import hashlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, encode_dss_signature

CURVES: dict[str, tuple[str, ec.EllipticCurve]] = {
    "P-256": ("p256", ec.SECP256R1()),
    "K-256": ("secp256k1", ec.SECP256K1()),
}
SOURCES = (
    ("FIPS_186-3/SigGen.txt", "P-256", 15),
    ("FIPS_186-3/SigVer.rsp", "P-256", 15),
    ("SECP256K1/SigGen.txt", "K-256", 20),
)
HASHES = ("SHA-1", "SHA-224", "SHA-256", "SHA-384", "SHA-512")


def cases(text: str, curve: str, name: str) -> Iterator[dict[str, str]]:
    """The cases of one section, in order."""
    section = text.split(f"[{curve},{name}]", 1)[1].split("[", 1)[0]
    for block in section.split("Msg = ")[1:]:
        yield dict(line.split(" = ", 1) for line in f"Msg = {block}".strip().splitlines() if " = " in line)


def row(name: str, curve: str, hash_name: str, case: dict[str, str]) -> list[object]:
    """One row, checked with OpenSSL."""
    x, y, r, s = (int(case[key], 16) for key in ("Qx", "Qy", "R", "S"))
    found = hashlib.new(hash_name.replace("-", ""), bytes.fromhex(case["Msg"])).digest()
    digest = found[:32].rjust(32, b"\0")
    valid = case.get("Result", "P").startswith("P")
    label, kind = CURVES[curve]
    public = bytes((2 + y % 2,)) + x.to_bytes(32, "big")
    key = ec.EllipticCurvePublicKey.from_encoded_point(kind, public)
    assert key.public_numbers().y == y
    try:
        key.verify(encode_dss_signature(r, s), digest, ec.ECDSA(Prehashed(hashes.SHA256())))
        assert valid, name
    except InvalidSignature:
        assert not valid, name
    signature = r.to_bytes(32, "big") + s.to_bytes(32, "big")
    secret = case["d"].rjust(64, "0") if "d" in case else ""
    return [name, label, public.hex(), digest.hex(), signature.hex(), valid, secret]


def main(folder: Path) -> None:
    """Prints the document."""
    rows = []
    for path, curve, most in SOURCES:
        text = (folder / "asymmetric" / "ECDSA" / path).read_text()
        for name in HASHES:
            for k, case in enumerate(list(cases(text, curve, name))[:most]):
                rows.append(row(f"{path} [{curve},{name}] {k + 1}", curve, name, case))
    lines = ",\n".join(json.dumps(one, separators=(",", ":")) for one in rows)
    print('{"source":"cryptography-vectors 50.0.2","rows":[\n' + lines + "\n]}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
