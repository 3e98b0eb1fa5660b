"""A light node in the VM changes its key in the middle of an outage: nothing is refused, each record has its own key's seal."""

import json
import secrets
import subprocess
from pathlib import Path

import pytest
from lightwire import ecdsa, envelope, records

from hil.bench import Bench
from hil.nodes import VirtualNode

POD = "IT001E00000003"
START_MS = 1_796_040_000_000 - 60_000


def said(node: VirtualNode, command: str, nonce: str) -> subprocess.CompletedProcess[str]:
    """What the application in the VM says to a command."""
    environment = dict(node.environment)
    return subprocess.run(
        node.command(command, nonce), env=environment, capture_output=True, check=False, text=True, timeout=60
    )


@pytest.mark.long
def test_a_rotation_in_an_outage_loses_nothing_and_every_record_has_the_seal_of_its_key(
    tmp_path: Path, mosquitto: list[str], micropython: object
) -> None:
    with Bench(tmp_path, pods=[POD], start_ms=START_MS) as bench:
        bench.warm_up()
        node = bench.nodes[POD]
        first = next(p.public for p in bench.backend.store.parties() if p.id == node.device)
        bench.broker.kill()
        for _ in range(8):
            bench.tick()
        nonce = secrets.token_bytes(16)
        answer = json.loads(said(node, "rotate", nonce.hex()).stdout)
        assert bytes.fromhex(answer["device"]) == node.device and answer["generation"] == 2
        assert json.loads(said(node, "enrol", nonce.hex()).stdout)["public_key"] == answer["public_key"]
        for _ in range(3):
            bench.tick()  # the node that runs goes on with its old key
        bench.kill_node(POD)
        enrolment = bytes.fromhex(answer["enrolment"])
        bench.backend.register.approve(enrolment, nonce, "node", POD, bench.conductor.now_ms)
        bench.broker.start()
        bench.start_node(POD)
        bench.warm_up()
        for _ in range(5):
            bench.tick()
        bench.drain()
        assert bench.backend.collect.refused == 0
        store, device = bench.backend.store, node.device
        publics = {1: first, 2: bytes.fromhex(answer["public_key"])}
        kept = [one.sealed for one in store.messages(device, 1, 2**31)]
        for sealed in kept:
            public = publics[envelope.peek(sealed).generation]
            envelope.open_sealed(
                sealed,
                bench.identity.deployment,
                lambda digest, signature, key=public: ecdsa.verify(ecdsa.SECP256K1, key, digest, signature),
            )
        made = [envelope.peek(sealed) for sealed in kept]
        assert {one.generation for one in made} == {1, 2}
        assert {(m["boot"], m["seq"]) for m in bench.produced(POD)} <= {(one.boot, one.seq) for one in made}
        previous = bytes(32)
        for one in made:
            if one.KIND == records.STATEMENT:
                assert one.previous == previous
                previous = envelope.payload_digest(records.encode(one))


@pytest.mark.parametrize("nonce", ["", "00", "zz" * 16])
def test_a_rotation_without_a_nonce_makes_no_key(tmp_path: Path, micropython: object, nonce: str) -> None:
    node = VirtualNode(tmp_path, {"state_dir": str(tmp_path)})
    node.save()
    done = said(node, "rotate", nonce)
    assert done.returncode == 2 and "rotate NONCE (32 hexadecimal digits)" in done.stderr
    assert not (tmp_path / "device.key").exists()
