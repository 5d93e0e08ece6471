"""Checks an answer of `GET /api/v2/audit` or `.../access-log` on stdin with nothing but the public key, the argument.

Ed25519 is RFC 8032, the tree RFC 9162. Exits with 1 if the tree head's signature or the proof of an entry is wrong."""
import hashlib, json, sys

P, L = 2**255 - 19, 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, P) % P

def point(data):
    sign, y = data[31] >> 7, int.from_bytes(data, "little") & (1 << 255) - 1
    square = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    x = pow(square, (P + 3) // 8, P)
    x = x if (x * x - square) % P == 0 else x * pow(2, (P - 1) // 4, P) % P
    assert (x * x - square) % P == 0 and y < P, "not a point of the curve"
    return (x if x % 2 == sign else P - x, y)

def add(a, b):
    k = D * a[0] * b[0] * a[1] * b[1] % P
    return ((a[0] * b[1] + a[1] * b[0]) * pow(1 + k, -1, P) % P, (a[1] * b[1] + a[0] * b[0]) * pow(1 - k, -1, P) % P)

def times(factor, a):
    result = (0, 1)
    for bit in f"{factor:b}":
        result = add(result, result)
        result = add(result, a) if bit == "1" else result
    return result

def check_signature(key, message, signature):
    base = point((4 * pow(5, -1, P) % P).to_bytes(32, "little"))
    factor = int.from_bytes(hashlib.sha512(signature[:32] + key + message).digest(), "little") % L
    s = int.from_bytes(signature[32:], "little")
    assert s < L and times(s, base) == add(point(signature[:32]), times(factor, point(key))), "a wrong signature"

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
