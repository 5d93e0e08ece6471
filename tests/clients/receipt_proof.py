"""Checks the receipt of an erasure on stdin, with nothing but the public key of the audit log and the user id, the arguments.

Ed25519 is RFC 8032, the tree RFC 9162. Exits with 1 if anything of the receipt is wrong."""
import hashlib, json, sys

from ed25519 import check_signature

def digest(*parts):
    return hashlib.sha256(b"".join(parts)).digest()

def canonical(value):
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()

def check_head(head, key):
    content = canonical({name: value for name, value in head.items() if name != "signature"})
    check_signature(key, b"profile-server audit tree head 1\n" + content, bytes.fromhex(head["signature"]))
    assert head["log"] == digest(key).hex(), "a tree head of another log"

def split(size):
    return 1 << (size - 1).bit_length() - 1

def root_of(leaf, hash, size, proof):
    """The root of the tree of `size` leaves (RFC 9162, section 2.1.3.1, from above)."""
    if size == 1:
        assert not proof, "the inclusion proof is too long"
        return hash
    middle, *rest = split(size), *proof
    if leaf < middle:
        return digest(b"\1", root_of(leaf, hash, middle, rest[:-1]), rest[-1])
    return digest(b"\1", rest[-1], root_of(leaf - middle, hash, size - middle, rest[:-1]))

def roots_of(old, size, proof, old_root, is_known):
    """The roots of the old tree and of the new one (RFC 9162, section 2.1.4.1, from above)."""
    if old == size:
        if is_known:
            return old_root, old_root
        assert len(proof) == 1, "the consistency proof is too short"
        return proof[0], proof[0]
    middle, other = split(size), proof[-1]
    if old <= middle:
        before, after = roots_of(old, middle, proof[:-1], old_root, is_known)
        return before, digest(b"\1", after, other)
    before, after = roots_of(old - middle, size - middle, proof[:-1], old_root, False)
    return digest(b"\1", other, before), digest(b"\1", other, after)

text = sys.stdin.buffer.read().rstrip(b"\n")
receipt, key, user = json.loads(text), bytes.fromhex(sys.argv[1]), sys.argv[2].encode()
assert canonical(receipt) == text and receipt["format"] == 1, "not a canonical receipt of format 1"
assert receipt["key_id"] == key.hex() and receipt["log_id"] == digest(key).hex(), "a receipt of another log"
before, after, entry = receipt["tree_head_before"], receipt["tree_head_after"], receipt["audit_entry"]
check_head(before, key), check_head(after, key)
nonce, commitment = bytes.fromhex(receipt["nonce"]), receipt["commitment"]
assert digest(nonce, user).hex() == commitment, "a receipt about somebody else"
expected = {"action": "profile.erase", "category": "compliance", "decision": "allowed", "seq": receipt["leaf"] + 1,
            "slot": receipt["slot"], "generation": receipt["generation"], "commitment": commitment}
for name, value in expected.items():
    assert entry[name] == value, f"`{name}` of the entry is not that of the erasure"
assert before["size"] <= receipt["leaf"] < after["size"], "the entry is not between the tree heads"
inclusion, consistency = ([bytes.fromhex(hash) for hash in receipt[name]] for name in ("inclusion", "consistency"))
hash = digest(b"\0", canonical(entry))
assert root_of(receipt["leaf"], hash, after["size"], inclusion).hex() == after["root"], "the entry is not in the tree"
if before["size"] > 0:
    roots = roots_of(before["size"], after["size"], consistency, bytes.fromhex(before["root"]), True)
    assert [root.hex() for root in roots] == [before["root"], after["root"]], "the log was rewritten"
else:
    assert not consistency and before["root"] == digest(b"").hex(), "the log was rewritten"
print(f"receipt: generation {receipt['generation']} in slot {receipt['slot']}, entry {entry['seq']}")
