"""A device introduces itself, on each target: what it answers is checked with an implementation that is not ours."""

import hashlib
import json

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID
from lightwire import ecdsa, envelope, records, topics

from hil.targets.target import Job, Target

pytestmark = pytest.mark.timeout(600)
DEPLOYMENT, NONCE = bytes(range(16)), bytes(range(16, 32))
CONFIG = {
    "state_dir": "keys",
    "deployment": DEPLOYMENT.hex(),
    "operator": bytes(8).hex(),
    "log_key": ecdsa.public_key(ecdsa.SECP256K1, 5).hex(),
    "issuers": [],
    "broker": {"host": "broker", "port": 8883, "ca": "ca", "cert": "cert", "key": "keys/tls.der"},
    "meter": {"port": "1", "unit": 7, "map": "sdm630", "ct_ratio": 20, "vt_ratio": 1},
    "limits": {"max_withdrawal_w": 100_000, "max_injection_w": 100_000},
    "journal": {"path": "journal", "bytes": 65_536},
    "conductor": None,
    "trace": False,
}
SCRIPT = """
import json, os
from lightnode import enrolment, errors, keys, settings
config = settings.Settings(json.loads(CONFIG))
if os.getcwd()[:4] == "/rom":
    os.chdir("/")  # the chip's script lies in memory that cannot be written
state = [b"keys"]
class Clock:
    def monotonic_ms(self):
        return 1234
class Board:
    SystemClock = Clock
    @staticmethod
    def random(count):
        import hashlib
        state[0] = hashlib.sha256(state[0]).digest()
        return state[0][:count]
for to_rotate in (False, False, True, False):
    print(json.dumps(enrolment.enrol(config, Board, bytes(range(16, 32)), to_rotate)))
with open("keys/tls.der", "rb") as file:
    whole = file.read()
with open("keys/device.key", "rb") as file:
    print(json.dumps([whole.hex(), file.read().hex(), keys.tls_fingerprint("keys/tls.der").hex()]))
for torn in (b"", whole[:50], whole + b"0"):
    with open("keys/tls.der", "wb") as file:
        file.write(torn)
    try:
        enrolment.enrol(config, Board, bytes(16))
    except errors.NodeError as error:
        print(str(error))
os.remove("keys/tls.der")
os.mkdir("keys/tls.der.new")
try:
    enrolment.enrol(config, Board, bytes(16))
except errors.NodeError as error:
    print(str(error)[:43])
"""


def test_it_introduces_both_keys_and_gives_neither_away(target: Target) -> None:
    said = target.run(Job(f"CONFIG = {json.dumps(json.dumps(CONFIG))}\n" + SCRIPT)).splitlines()
    first, again, second, later = (json.loads(line) for line in said[:4])
    tls_file, key_file, fingerprint = json.loads(said[4])
    assert first == again and second == later, "rule 1: the same keys, the same answer"
    request = x509.load_der_x509_csr(bytes.fromhex(first["request"]))
    assert request.is_signature_valid
    device = bytes.fromhex(first["device"])
    names = request.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    assert [name.value for name in names] == [topics.station(device)] and len(list(request.subject)) == 1
    spki = request.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    assert hashlib.sha256(spki).hexdigest() == fingerprint
    public = bytes.fromhex(first["public_key"])
    assert hashlib.sha256(public).digest()[:8] == device
    for answer, generation in ((first, 1), (second, 2)):
        statement = envelope.open_sealed(bytes.fromhex(answer["enrolment"]), DEPLOYMENT, signed_by(public))
        assert (statement.device, statement.generation, statement.nonce) == (device, generation, NONCE)
        assert statement.public_key.hex() == answer["public_key"]
        assert statement.tls_fingerprint.hex() == fingerprint, "rule 2: a rotation leaves the TLS key"
        assert statement.level == answer["level"] == records.LEVEL_FILE
        assert answer["request"] == first["request"]
    for secret in (tls_file[14:78], key_file[22:90], key_file[90:158]):
        assert all(secret not in line for line in said[:4])
    assert (
        said[5:8] == ["keys/tls.der is damaged or holds another kind of key: remove it and enrol the device again"] * 3
    )
    assert said[8] == "the TLS key cannot be kept in keys/tls.der:"


def signed_by(public: bytes):  # type: ignore[no-untyped-def]
    return lambda digest, signature: ecdsa.verify(ecdsa.SECP256K1, public, digest, signature)
