"""The wire format shared by light node, edge agent and back end. FORMAT.md is normative."""

WIRE_VERSION = 1
