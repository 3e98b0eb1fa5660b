"""The rows of the shared customer database that flows work with."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Party:
    """A registered key: node, agent or issuer; role "node", "agent", "issuer"."""

    id: bytes
    generation: int
    role: str
    pod: str
    algorithm: int
    public: bytes
    valid_from_ms: int
    valid_to_ms: int
    entry: bytes
    enrolment: bytes


@dataclass(frozen=True, slots=True)
class Kept:
    """One stored message of a device."""

    device: bytes
    seq: int
    boot: int
    kind: int
    time_ms: int
    sealed: bytes


@dataclass(frozen=True, slots=True)
class SetPointRow:
    """A set-point and what came back: sealed bytes, empty while there is nothing. execution: the agent's Execution or, where
    an energy manager is the node's client, its word as the node signed it, an EmsReport."""

    id: bytes
    device: bytes
    pod: str
    sealed: bytes
    decision: bytes
    execution: bytes


@dataclass(frozen=True, slots=True)
class DocumentRow:
    """A market document with its evidence and its leaf."""

    kind: str
    id: str
    version: int
    body: str
    evidence: bytes
    tree: int
    position: int
