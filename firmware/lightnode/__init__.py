"""The light node: reads the meter, signs, keeps, sends, obeys authentic set-points."""

FIRMWARE_VERSION = "0.1.0"
