"""Ed25519 (RFC 8032): checks signatures, slowly and without any package."""
import hashlib

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
