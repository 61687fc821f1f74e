#!/usr/bin/env python3
"""Checks inclusion proofs of a journal: a second implementation, from docs/journal-format.md and the RFCs alone.

usage: check_proof.py PUBLIC_KEY_FILE < one proof a line    prints `ok SEQ SIZE` or `refused REASON` for each
"""
import base64, hashlib, json, sys

# Ed25519 (RFC 8032, section 5.1), verification only.
P, L = 2**255 - 19, 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P

def recover(data):
    y, sign = int.from_bytes(data, "little") & (2**255 - 1), data[31] >> 7
    if y >= P: raise ValueError("point")
    x2 = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(x2, (P + 3) // 8, P)
    if (x * x - x2) % P: x = x * pow(2, (P - 1) // 4, P) % P
    if (x * x - x2) % P or (x == 0 and sign): raise ValueError("point")
    x = P - x if x % 2 != sign else x
    return (x, y, 1, x * y % P)

def add(p, q):
    a, b = (p[1] - p[0]) * (q[1] - q[0]) % P, (p[1] + p[0]) * (q[1] + q[0]) % P
    c, d = 2 * p[3] * q[3] * D % P, 2 * p[2] * q[2] % P
    e, f, g, h = b - a, d - c, d + c, b + a
    return (e * f % P, g * h % P, f * g % P, e * h % P)

def mul(s, p):
    q = (0, 1, 1, 0)
    while s:
        if s & 1: q = add(q, p)
        p, s = add(p, p), s >> 1
    return q

BASE = recover((4 * pow(5, P - 2, P) % P).to_bytes(32, "little"))

def signed(public, message, signature):
    s = int.from_bytes(signature[32:], "little")
    if len(signature) != 64 or s >= L: return False
    a, r = recover(public), recover(signature[:32])
    h = int.from_bytes(hashlib.sha512(signature[:32] + public + message).digest(), "little") % L
    left, right = mul(s, BASE), add(r, mul(h, a))
    return (left[0] * right[2] - right[0] * left[2]) % P == 0 and (left[1] * right[2] - right[1] * left[2]) % P == 0

def sha(*parts): return hashlib.sha256(b"".join(parts)).digest()

def need(condition, why):
    if not condition: raise ValueError(why)

def checkpoint(note, name, public):
    """A checkpoint (c2sp.org/tlog-checkpoint) as (size, root, epoch, next key), if `public` signed it."""
    text, lines = note[:note.rindex("\n\n") + 1], note[note.rindex("\n\n") + 2:].splitlines()
    key_id = sha(name.encode(), b"\n\x01", public)[:4]
    for line in lines:
        dash, by, blob = line.split(" ")
        blob = base64.b64decode(blob, validate=True)
        need(dash == "—", "note")
        if by == name and blob[:4] == key_id and signed(public, text.encode(), blob[4:]): break
    else: raise ValueError("signature")
    origin, size, root, epoch, *more = text.splitlines()
    need(origin == name and epoch.startswith("epoch ") and len(more) < 2, "checkpoint")
    following = [base64.b64decode(line[9:]) for line in more if line.startswith("next-key ")]
    return int(size), base64.b64decode(root), int(epoch[6:]), following[0] if following else None

def check(proof, name, public):
    need(proof["proof"] == "palyra-inclusion-proof/1", "form")
    entry, seq, since, epoch = base64.b64decode(proof["entry"], validate=True), proof["seq"], 0, 0
    need(int.from_bytes(entry[1:9], "big") == seq and entry[49:75].decode() == proof["event_id"], "entry")
    for note in proof["handovers"]:
        since, _, at, following = checkpoint(note, name, public)
        need(at == epoch and following, "handover")
        public, epoch = following, epoch + 1
    size, root, at, _ = checkpoint(proof["checkpoint"], name, public)
    need(at == epoch and since < seq <= size, "range")
    leaf = sha(b"\x00", entry)
    need(leaf.hex() == proof["leaf_hash"], "leaf")
    node, last, found = seq - 1, size - 1, leaf  # RFC 9162, section 2.1.3.2
    for sibling in map(bytes.fromhex, proof["path"]):
        need(last > 0, "path")
        if node & 1 or node == last:
            found = sha(b"\x01", sibling, found)
            while not node & 1 and node: node, last = node >> 1, last >> 1
        else: found = sha(b"\x01", found, sibling)
        node, last = node >> 1, last >> 1
    need(last == 0 and found == root, "path")
    return seq, size

name, _, key = open(sys.argv[1]).read().strip().split("+", 2)
for line in sys.stdin:
    try: print("ok", *check(json.loads(line), name, base64.b64decode(key)[1:]))
    except Exception as why: print("refused", why)
