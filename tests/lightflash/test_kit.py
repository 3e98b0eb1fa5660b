"""The kit's file: whose it is, what it allows, and that no changed byte of it is taken."""

import datetime
import json
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given
from hypothesis import strategies as st
from lightflash.errors import FlashError
from lightflash.kit import open_kit, parse

from tests.lightflash.enrolments import DAY_MS, DEPLOYMENT, LOG, POD, Registry, now_ms

FLAWS = (ValueError, KeyError, TypeError)


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Registry:
    return Registry(tmp_path_factory.mktemp("back-end"))


@pytest.fixture(scope="module")
def path(registry: Registry) -> Path:
    return registry.kit()


def refusal(use: Any, *arguments: Any) -> str:
    with pytest.raises(FlashError) as refused:
        use(*arguments)
    assert "\n" not in str(refused.value)
    return str(refused.value)


def test_a_kit_says_whose_it_is_and_for_which_pods(registry: Registry, path: Path) -> None:
    kit = open_kit(path, registry.operator.hex().upper())
    assert (kit.deployment, kit.log_key, kit.host, kit.port) == (DEPLOYMENT, LOG.public, "127.0.0.1", 8884)
    assert len(kit.pods[POD]) == 2 and kit.ca == registry.pki.ca_der.read_bytes()
    kit.check(POD, now_ms())
    assert kit.id not in ("", repr(kit)) and "PrivateKey" not in repr(kit)


def test_1_another_operators_kit_is_refused(path: Path) -> None:
    assert "is of operator" in refusal(open_kit, path, "00" * 8)


def test_1_a_kit_that_others_can_read_is_refused(registry: Registry) -> None:
    path = registry.kit()
    path.chmod(0o644)
    assert "chmod 600" in refusal(open_kit, path)
    assert "cannot be read" in refusal(open_kit, path.with_name("no-kit"))


def test_1_no_changed_byte_of_what_is_signed_is_taken(path: Path) -> None:
    document = json.loads(path.read_bytes())
    changes: list[Any] = [
        lambda d: d["body"].update(to_ms=d["body"]["to_ms"] + 1),
        lambda d: d["body"]["pods"].update(IT9=["00" * 16]),
        lambda d: d["body"]["broker"].update(host="broker.evil"),
        lambda d: d["body"]["settings"].update(log_key="02" + "11" * 32),
        lambda d: d["body"].update(authority=d["body"]["broker"]["ca"]),
        lambda d: d.update(signature="00" * 64),
        lambda d: d.update(more=1),
        lambda d: d["body"].update(more=1),
        lambda d: d.update(body=[]),
        lambda d: d.pop("key"),
    ]
    for change in changes:
        changed = json.loads(json.dumps(document))
        change(changed)
        with pytest.raises(FLAWS):
            parse(json.dumps(changed).encode())


def test_1_the_authoritys_key_is_its_own(registry: Registry, path: Path) -> None:
    mine, other = (json.loads(one.read_bytes()) for one in (path, registry.kit()))
    with pytest.raises(ValueError):
        parse(json.dumps({**mine, "key": other["key"]}).encode())


@given(st.binary(max_size=300), st.integers(0, 4000), st.integers(0, 255))
def test_1_any_bytes_give_a_kit_or_one_error(path: Path, junk: bytes, at: int, value: int) -> None:
    whole = path.read_bytes()
    changed = whole[:at] + bytes([value]) + whole[at + 1 :]
    for data in (junk, whole[:at], changed, b"[" * 100_000):
        try:
            parse(data)
        except FLAWS:
            continue
        assert json.loads(data)["body"] == json.loads(whole)["body"]


def test_2_an_expired_kit_one_that_has_not_begun_and_another_pod_are_one_line_each(registry: Registry) -> None:
    kit = open_kit(registry.kit(from_ms=now_ms() - 8 * DAY_MS, days=7))
    assert "has expired on" in refusal(kit.check, POD, now_ms())
    assert "begins on" in refusal(open_kit(registry.kit(from_ms=now_ms() + 2 * DAY_MS)).check, POD, now_ms())
    assert "is not for POD 'IT9'" in refusal(open_kit(registry.kit()).check, "IT9", now_ms())


def test_3_it_vouches_for_a_client_as_long_as_its_authority(path: Path) -> None:
    kit = open_kit(path)
    made = x509.load_der_x509_certificate(kit.vouch(ec.generate_private_key(ec.SECP256R1()).public_key(), "1/ab"))
    authority = x509.load_der_x509_certificate(kit.certificate)
    made.verify_directly_issued_by(authority)
    assert made.not_valid_after_utc == authority.not_valid_after_utc
    assert made.not_valid_after_utc - datetime.datetime.now(datetime.UTC) > datetime.timedelta(days=5 * 365)
    for certificate in (made, authority):
        usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
        assert [one._name for one in usage] == ["clientAuth"]  # a stolen kit makes no broker


def test_3_a_request_for_another_name_or_that_is_none_gets_no_certificate(path: Path) -> None:
    kit = open_kit(path)
    builder = x509.CertificateSigningRequestBuilder()
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "backend")])
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.serialization import Encoding

    for curve, reason in ((ec.SECP256R1(), "asks for the name 'backend'"), (ec.SECP256K1(), "its TLS key has signed")):
        request = builder.subject_name(subject).sign(ec.generate_private_key(curve), hashes.SHA256())
        assert reason in refusal(kit.certify, request.public_bytes(Encoding.DER), "1/ab")
    assert "its TLS key has signed" in refusal(kit.certify, b"", "1/ab")
