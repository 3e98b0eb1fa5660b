# pragma version 0.4.3
# pragma evm-version london
"""
@title AnchorLog
@license Apache-2.0
@notice One commitment per operator log and epoch, written once. A commitment is the RFC 6962 root over the checkpoints of
        the operator's evidence trees; what is kept is sha256(0x02 || epoch || count || root), numbers as 8 bytes.
        The admin says who writes which log and may stop writing; nobody changes or removes what is written.
        Reasons: admin, paused, role, count, taken, length, epoch, index, path.
"""

MAX_BATCH: constant(uint256) = 128
MAX_PATH: constant(uint256) = 64

event Committed:
    operator: indexed(bytes32)
    epoch: indexed(uint64)
    root: bytes32
    count: uint64

event Granted:
    operator: indexed(bytes32)
    account: indexed(address)
    allowed: bool

event AdminOffered:
    account: indexed(address)

event AdminChanged:
    account: indexed(address)

event Paused:
    state: bool

admin: public(address)
pending_admin: public(address)
paused: public(bool)
grants: public(HashMap[bytes32, HashMap[address, bool]])
words: HashMap[bytes32, HashMap[uint64, bytes32]]


@deploy
def __init__():
    self.admin = msg.sender
    log AdminChanged(account=msg.sender)


@external
def grant(operator: bytes32, account: address, allowed: bool):
    """@notice The admin says who may write an operator's log."""
    assert msg.sender == self.admin, "admin"
    self.grants[operator][account] = allowed
    log Granted(operator=operator, account=account, allowed=allowed)


@external
def offer_admin(account: address):
    """@notice First step of handing over: the new admin must accept. Address zero withdraws an offer."""
    assert msg.sender == self.admin, "admin"
    self.pending_admin = account
    log AdminOffered(account=account)


@external
def accept_admin():
    """@notice Second step."""
    assert msg.sender == self.pending_admin, "admin"
    self.admin = msg.sender
    self.pending_admin = empty(address)
    log AdminChanged(account=msg.sender)


@external
def set_paused(state: bool):
    """@notice Stops and resumes writing; reading is never stopped."""
    assert msg.sender == self.admin, "admin"
    self.paused = state
    log Paused(state=state)


@internal
@pure
def _word(epoch: uint64, count: uint64, root: bytes32) -> bytes32:
    return sha256(concat(x"02", convert(epoch, bytes8), convert(count, bytes8), root))


@external
def commit(operator: bytes32, epoch: uint64, root: bytes32, count: uint64):
    """@notice Writes the commitment of one epoch; an epoch is written once."""
    assert not self.paused, "paused"
    assert self.grants[operator][msg.sender], "role"
    assert count != 0, "count"
    assert self.words[operator][epoch] == empty(bytes32), "taken"
    self.words[operator][epoch] = self._word(epoch, count, root)
    log Committed(operator=operator, epoch=epoch, root=root, count=count)


@external
def commit_many(operator: bytes32, first: uint64, roots: DynArray[bytes32, MAX_BATCH], counts: DynArray[uint64, MAX_BATCH]):
    """@notice Writes epochs first, first + 1, ...; skips what is taken and what has count 0."""
    assert not self.paused, "paused"
    assert self.grants[operator][msg.sender], "role"
    assert len(roots) == len(counts), "length"
    assert convert(first, uint256) + len(roots) <= convert(max_value(uint64), uint256), "epoch"
    epoch: uint64 = first
    for k: uint256 in range(len(roots), bound=MAX_BATCH):
        if counts[k] != 0 and self.words[operator][epoch] == empty(bytes32):
            self.words[operator][epoch] = self._word(epoch, counts[k], roots[k])
            log Committed(operator=operator, epoch=epoch, root=roots[k], count=counts[k])
        epoch += 1


@external
@view
def commitment(operator: bytes32, epoch: uint64) -> bytes32:
    """@notice The word of an epoch; zero if there is none."""
    return self.words[operator][epoch]


@external
@view
def commitments(operator: bytes32, first: uint64, count: uint256) -> DynArray[bytes32, MAX_BATCH]:
    """@notice The words of count epochs from first on, at most 128; zero where there is none."""
    assert count <= MAX_BATCH, "count"
    assert convert(first, uint256) + count <= convert(max_value(uint64), uint256), "epoch"
    found: DynArray[bytes32, MAX_BATCH] = []
    for k: uint256 in range(count, bound=MAX_BATCH):
        found.append(self.words[operator][first + convert(k, uint64)])
    return found


@internal
@pure
def _root(leaf: bytes32, index: uint256, size: uint256, path: DynArray[bytes32, MAX_PATH]) -> bytes32:
    assert index < size, "index"
    fn: uint256 = index
    sn: uint256 = size - 1
    node: bytes32 = leaf
    for step: bytes32 in path:
        assert sn != 0, "path"
        if fn & 1 == 1 or fn == sn:
            node = sha256(concat(x"01", step, node))
            for _: uint256 in range(64):
                if fn & 1 == 1 or fn == 0:
                    break
                fn >>= 1
                sn >>= 1
        else:
            node = sha256(concat(x"01", node, step))
        fn >>= 1
        sn >>= 1
    assert sn == 0, "path"
    return node


@external
@view
def verify(operator: bytes32, epoch: uint64, count: uint64, leaf: bytes32, index: uint64, path: DynArray[bytes32, MAX_PATH]) -> bool:
    """
    @notice Whether the checkpoint with this leaf hash stands at index among the count checkpoints of the epoch: the RFC 9162
            inclusion proof (2.1.3.2), nearest sibling first. False if it leads to another root; a path that fits no tree of
            count leaves reverts.
    """
    root: bytes32 = self._root(leaf, convert(index, uint256), convert(count, uint256), path)
    return self.words[operator][epoch] == self._word(epoch, count, root)
