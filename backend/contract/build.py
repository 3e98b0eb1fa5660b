"""Builds the contracts again: python -m backend.contract.build > backend/contract/build.json (needs the vyper package)."""

import json

from backend.contract import FOLDER, SOURCES


def build() -> str:
    """The text of build.json."""
    import vyper

    contracts = {}
    for name in SOURCES:
        made = vyper.compile_code((FOLDER / f"{name}.vy").read_text(), output_formats=["abi", "bytecode"])
        contracts[name] = {"abi": made["abi"], "bytecode": made["bytecode"]}
    return json.dumps({"compiler": f"vyper {vyper.__version__}", "contracts": contracts}, indent=1) + "\n"


if __name__ == "__main__":
    print(build(), end="")
