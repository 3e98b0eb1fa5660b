"""MQTT topics, built and parsed in one place: ln/1/<partition>/<device id, hex>/<channel>.

1. The partition is the first byte of the device id modulo 64, in decimal: ingest scales by partition.
2. The TLS common name of a light node is `<partition>/<device id, hex>`, so one ACL pattern enforces both.
3. Nothing is ever retained. "status" is not signed: a hint for operators, never evidence.
"""

from .errors import OutOfRange

ROOT = "ln/1/"
UPLINK = ("record", "ask", "decision", "execution", "fetch", "status")
ONLINE, OFFLINE = b"online", b"offline"  # on "status": what the session says of itself, and the broker when it is gone
DOWNLINK = ("time", "delivery", "receipt", "setpoint", "update", "chunk")


def station(device: bytes) -> str:
    """`<partition>/<hex>` of a device id (8 bytes): also its TLS common name and MQTT client id."""
    return "{}/{}".format(device[0] & 63, "".join([f"{b:02x}" for b in device]))


def topic(device: bytes, channel: str) -> str:
    """The topic of one channel of one device."""
    if channel not in UPLINK and channel not in DOWNLINK:
        raise OutOfRange(f"channel {channel}")
    return ROOT + station(device) + "/" + channel


def partition_filter(partition: int, channel: str) -> str:
    """The subscription of one ingest worker: every device of a partition (0..63)."""
    return f"{ROOT}{partition}/+/{channel}"


def every_filter(channel: str) -> str:
    """The subscription of a single worker: every device."""
    return f"{ROOT}+/+/{channel}"


def parse(name: str) -> tuple[bytes, str]:
    """(device id, channel) of a topic; OutOfRange if it is not one of ours, partition included."""
    parts = name.split("/")
    if len(parts) != 5 or parts[0] != "ln" or parts[1] != "1" or len(parts[3]) != 16:
        raise OutOfRange(f"topic {name[:80]}")
    try:
        device = bytes.fromhex(parts[3])
    except ValueError:
        raise OutOfRange(f"topic {name[:80]}")
    if topic(device, parts[4]) != name:
        raise OutOfRange(f"topic {name[:80]}")
    return device, parts[4]
