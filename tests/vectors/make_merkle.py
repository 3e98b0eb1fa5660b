"""Makes merkle.json from public implementations of RFC 6962 / RFC 9162; nothing of the project is imported.

1. "published": the cases of github.com/transparency-dev/merkle (Apache-2.0), folder testdata, as they are; its eight leaves
   and roots are those of the Certificate Transparency project.
2. "made", "numbered": roots and proofs by the package scitt-cose 0.5.0 (Apache-2.0); leaf i is the text "leaf i".

scitt-cose is no dependency of the project; it is used here only, in an environment of its own:
    python -m venv /tmp/foreign && /tmp/foreign/bin/pip install scitt-cose==0.5.0
    git clone https://github.com/transparency-dev/merkle /tmp/merkle
    /tmp/foreign/bin/python tests/vectors/make_merkle.py /tmp/merkle/testdata > tests/vectors/merkle.json
"""

import base64
import json
import sys
from pathlib import Path
from typing import Any

from scitt_cose import merkle

Case = dict[str, Any]

# testonly/reference data of the Certificate Transparency project, eight leaves
CT_LEAVES = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"]
SIZES = [*range(1, 10), 15, 16, 17, 31, 33, 64, 65, 130, 225]
PAIRS = [(a, b) for b in range(1, 10) for a in range(1, b + 1)] + [(33, 65), (64, 65), (64, 128), (1, 225), (224, 225)]

# Accepted there and refused here, because RFC 9162 proves nothing from an empty tree and a root has 32 bytes.
LEFT_OUT = {
    "consistency/additional/sizes-are-equal-zero-and-proof-is-empty.json",
    "consistency/additional/sizes-are-equal-one-and-proof-is-empty.json",
}


def entries(size: int) -> list[str]:
    return [f"leaf {i}".encode().hex() for i in range(size)]


def unbase64(text: str | None) -> str:
    return base64.b64decode(text or "").hex()


def published(folder: Path) -> tuple[list[Case], list[Case]]:
    inclusion, consistency = [], []
    for path in sorted(folder.glob("inclusion/**/*.json")) + sorted(folder.glob("consistency/**/*.json")):
        name = path.relative_to(folder).as_posix()
        case = json.loads(path.read_text())
        common = {"name": name, "path": [unbase64(h) for h in case["proof"] or []], "holds": not case["wantErr"]}
        if name.startswith("inclusion"):
            inclusion.append(
                common
                | {"leaf": unbase64(case["leafHash"]), "index": case["leafIdx"], "size": case["treeSize"]}
                | {"root": unbase64(case["root"])}
            )
        elif name not in LEFT_OUT:
            consistency.append(
                common
                | {"first": case["size1"], "second": case["size2"]}
                | {"first_root": unbase64(case["root1"]), "second_root": unbase64(case["root2"])}
            )
    return inclusion, consistency


def inclusion_of(size: int) -> list[Case]:
    data = entries(size)
    root = merkle.merkle_root(data)
    chosen = range(size) if size < 10 else sorted({0, 1, size // 2, size - 2, size - 1})
    cases = []
    for index in chosen:
        path = merkle.inclusion_proof(data, index)
        assert merkle.verify_inclusion(data[index], index, size, path, root)
        leaf = merkle.leaf_hash(data[index])
        cases.append(
            {"name": f"made {index} of {size}", "path": path, "holds": True}
            | {"leaf": leaf, "index": index, "size": size, "root": root}
        )
    return cases


def consistency_of(first: int, second: int) -> Case:
    data = entries(second)
    roots = [merkle.merkle_root(data[:first]), merkle.merkle_root(data)]
    path = merkle.consistency_proof(data, first, second)
    assert merkle.verify_consistency(roots[0], roots[1], first, second, path)
    return {"name": f"made {first} to {second}", "path": path, "holds": True} | {
        "first": first,
        "second": second,
        "first_root": roots[0],
        "second_root": roots[1],
    }


def main() -> None:
    inclusion, consistency = published(Path(sys.argv[1]))
    document: dict[str, list[Case]] = {
        "certificate_transparency": [
            {"leaves": CT_LEAVES[:n], "root": merkle.merkle_root(CT_LEAVES[:n])} for n in range(len(CT_LEAVES) + 1)
        ],
        "numbered": [{"size": n, "root": merkle.merkle_root(entries(n))} for n in SIZES],
        "inclusion": inclusion + [case for size in SIZES for case in inclusion_of(size)],
        "consistency": consistency + [consistency_of(*pair) for pair in PAIRS],
    }
    parts = [f'"{k}": [\n' + ",\n".join(json.dumps(case) for case in cases) + "\n]" for k, cases in document.items()]
    print("{\n" + ",\n".join(parts) + "\n}")


if __name__ == "__main__":
    main()
