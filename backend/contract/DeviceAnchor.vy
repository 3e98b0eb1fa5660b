# pragma version 0.4.3
# pragma evm-version london
"""
@title DeviceAnchor
@license Apache-2.0
@notice Whoever holds a light node's sealed batch statement anchors it, without the operator. The contract rebuilds what was
        signed (COSE Sig_structure, external_aad = kind || deployment) and checks the signature: ES256K by ecrecover, ES256
        by the P-256 precompile (EIP-7951) where the chain has it. It knows no registry: what it attests is the key. For
        permissioned chains and disputes only: device ids and statements become readable by all who read the chain.
        Nobody owns it. Reasons: form, low s, signature, p256, taken.
"""

PAYLOAD: constant(uint256) = 167
ES256K_HEAD: constant(Bytes[10]) = x"d28444a101382ea058a7"
ES256_HEAD: constant(Bytes[9]) = x"d28443a10126a058a7"
SIGNATURE_HEAD: constant(Bytes[2]) = x"5840"
STATEMENT_HEAD: constant(Bytes[5]) = x"9318021801"
STATEMENT_KIND: constant(Bytes[1]) = x"02"
CONTEXT: constant(Bytes[12]) = x"846a5369676e617475726531"  # ["Signature1", ...
ES256K_PROTECTED: constant(Bytes[6]) = x"44a101382e51"  # protected header, then the head of external_aad (17 bytes)
ES256_PROTECTED: constant(Bytes[5]) = x"43a1012651"
PAYLOAD_HEAD: constant(Bytes[2]) = x"58a7"
P256_VERIFY: constant(address) = 0x0000000000000000000000000000000000000100
K1_HALF_ORDER: constant(uint256) = 57896044618658097711785492504343953926418782139537452191302581570759080747168
R1_HALF_ORDER: constant(uint256) = 57896044605178124381348723474703786764998477612067880171211129530534256022184

event Anchored:
    key: indexed(bytes32)
    device: indexed(bytes8)
    digest: indexed(bytes32)

deployment: public(immutable(bytes16))
blocks: public(HashMap[bytes32, uint256])


@deploy
def __init__(_deployment: bytes16):
    deployment = _deployment


@internal
@pure
def _fingerprint(x: uint256, y: uint256) -> bytes32:
    return sha256(concat(convert(convert(2 + (y & 1), uint8), bytes1), convert(x, bytes32)))


@external
def anchor(message: Bytes[243], x: uint256, y: uint256) -> bytes32:
    """
    @notice Keeps the block in which a sealed batch statement was shown, once per statement.
    @param message The sealed statement as the device sent it: 243 bytes (ES256K) or 242 (ES256).
    @param x The signing key's coordinates.
    @return SHA-256 of the Sig_structure, under which `blocks` holds the block number. The event names SHA-256 of the
            compressed key (whose first 8 bytes are the id of a device that still has its first key) and the device.
    """
    k1: bool = len(message) == 243
    payload: Bytes[PAYLOAD] = b""
    digest: bytes32 = empty(bytes32)
    at: uint256 = 10
    if k1:
        assert slice(message, 0, 10) == ES256K_HEAD, "form"
        payload = slice(message, 10, PAYLOAD)
        digest = sha256(concat(CONTEXT, ES256K_PROTECTED, STATEMENT_KIND, deployment, PAYLOAD_HEAD, payload))
    else:
        at = 9
        assert len(message) == 242, "form"
        assert slice(message, 0, 9) == ES256_HEAD, "form"
        payload = slice(message, 9, PAYLOAD)
        digest = sha256(concat(CONTEXT, ES256_PROTECTED, STATEMENT_KIND, deployment, PAYLOAD_HEAD, payload))
    assert slice(payload, 0, 5) == STATEMENT_HEAD, "form"
    assert slice(message, at + PAYLOAD, 2) == SIGNATURE_HEAD, "form"
    r: uint256 = convert(extract32(message, at + PAYLOAD + 2), uint256)
    s: uint256 = convert(extract32(message, at + PAYLOAD + 34), uint256)
    if k1:
        assert s <= K1_HALF_ORDER, "low s"
        signer: address = convert(convert(keccak256(concat(convert(x, bytes32), convert(y, bytes32))), uint256) & convert(max_value(uint160), uint256), address)
        assert ecrecover(digest, 27, r, s) == signer or ecrecover(digest, 28, r, s) == signer, "signature"
    else:
        assert s <= R1_HALF_ORDER, "low s"
        asked: Bytes[160] = concat(digest, convert(r, bytes32), convert(s, bytes32), convert(x, bytes32), convert(y, bytes32))
        answer: Bytes[32] = raw_call(P256_VERIFY, asked, max_outsize=32, is_static_call=True)
        assert len(answer) == 32 and convert(answer, uint256) == 1, "p256"
    assert self.blocks[digest] == 0, "taken"
    self.blocks[digest] = block.number
    log Anchored(key=self._fingerprint(x, y), device=convert(slice(payload, 6, 8), bytes8), digest=digest)
    return digest
