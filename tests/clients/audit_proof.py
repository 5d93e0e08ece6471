"""Checks an answer of `GET /api/v2/audit` or `.../access-log` on stdin with nothing but the public key, the argument.

Ed25519 is RFC 8032, the tree RFC 9162. Exits with 1 if the tree head's signature or the proof of an entry is wrong."""
import hashlib, json, sys

from ed25519 import check_signature

def canonical(value):
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()

def root(entry, leaf, size, proof):
    node, last = hashlib.sha256(b"\0" + canonical(entry)).digest(), size - 1
    for other in map(bytes.fromhex, proof):
        left = leaf & 1 or leaf == last
        node = hashlib.sha256(b"\1" + (other + node if left else node + other)).digest()
        while left and not leaf & 1 and leaf:
            leaf, last = leaf >> 1, last >> 1
        leaf, last = leaf >> 1, last >> 1
    return node.hex() if last == 0 else None

answer, public_key = json.load(sys.stdin), bytes.fromhex(sys.argv[1])
head = answer["tree_head"]
content = canonical({name: value for name, value in head.items() if name != "signature"})
check_signature(public_key, b"profile-server audit tree head 1\n" + content, bytes.fromhex(head["signature"]))
proved = [item for item in answer["entries"] if "leaf" in item]
for item in proved:
    assert root(item["entry"], item["leaf"], head["size"], item["inclusion"]) == head["root"], f"a wrong proof: {item}"
print(f"audit: {len(proved)} entries proved")
