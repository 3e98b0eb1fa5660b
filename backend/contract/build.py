"""Builds AnchorLog again: python -m backend.contract.build > backend/contract/build.json (needs the vyper package)."""

import json

from backend.contract import FOLDER


def build() -> str:
    """The text of build.json."""
    import vyper

    source = (FOLDER / "AnchorLog.vy").read_text()
    made = vyper.compile_code(source, output_formats=["abi", "bytecode"])
    document = {"compiler": f"vyper {vyper.__version__}", "abi": made["abi"], "bytecode": made["bytecode"]}
    return json.dumps(document, indent=1) + "\n"


if __name__ == "__main__":
    print(build(), end="")
