"""A commissioning for tests: facts of one device, and the kit that signs them."""

import hashlib
from dataclasses import replace
from datetime import date
from typing import Any

from lightflash.key import Key
from lightflash.record import YES_NO, Check, Facts

KIT = Key(hashlib.sha256(b"a kit of the tests").digest())
DEVICE_KEY = Key(hashlib.sha256(b"a device of the tests").digest())
CHECKS = (
    Check("meter answers", 10, "of 10 readings", 10, 10),
    Check("active power has its sign", 1, YES_NO, 1, 1, "withdrawal while the load was on"),
    Check("active power", 2412, "W", -17_250, 17_250),
    Check("voltage, lowest phase", 229_840, "mV", 207_000, 253_000),
    Check("clock error", 38, "ms", None, 100),
    Check("broker session with its own certificate", 1, YES_NO, 1, 1),
    Check("readings signed by the registered key", 15, "", 15, None),
    Check("acknowledgement", 4_180, "ms", None, 60_000),
    Check("set-point reaches the energy manager", 1, YES_NO, 1, 1),
)


def facts(**changes: Any) -> Facts:
    made = Facts(
        device=hashlib.sha256(DEVICE_KEY.public).digest()[:8],
        signing_key=DEVICE_KEY.public,
        generation=1,
        tls_fingerprint=hashlib.sha256(b"certificate").digest(),
        pod="IT001E12345678",
        place="Via Appia 1, cabinet 3",
        meter_model="sdm630",
        meter_serial="21070815",
        meter_unit=1,
        ct_ratio=40,
        vt_ratio=1,
        board="esp32-s3",
        hardware="esp32-s3",
        support_end=date(2032, 12, 31),
        firmware="0.1.0",
        micropython="1.26.1",
        image_sha256=hashlib.sha256(b"image").digest(),
        settings_sha256=hashlib.sha256(b"settings").digest(),
        technician="Nicolò D'Amico & Figli <kit 7>",
        time_ms=1_796_040_000_000,
        checks=CHECKS,
    )
    return replace(made, **changes)
