"""Verifies a transparency log in a folder, from the texts of c2sp.org alone and with none of our code:
tlog-tiles, tlog-checkpoint, signed-note, and tlog-proof for the proofs named after it.

    verify_log.py FOLDER VKEY [PROOF ...]

Prints the number of entries and the origin, or fails.
"""

import base64
import hashlib
import pathlib
import sys

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey


def leaf(data):
    return hashlib.sha256(b"\x00" + data).digest()


def mth(hashes):
    """RFC 6962, section 2.1, over leaf hashes."""
    if not hashes:
        return hashlib.sha256(b"").digest()
    if len(hashes) == 1:
        return hashes[0]
    k = 1
    while k * 2 < len(hashes):
        k *= 2
    return hashlib.sha256(b"\x01" + mth(hashes[:k]) + mth(hashes[k:])).digest()


def open_note(note, vkey):
    """signed-note: the text, once the key's signature of it was verified."""
    name, key_id, material = vkey.split("+", 2)
    material = base64.b64decode(material, validate=True)
    assert material[0] == 1 and len(material) == 33, "an Ed25519 key"
    assert hashlib.sha256(name.encode() + b"\n" + material).digest()[:4].hex() == key_id
    text, _, signatures = note.rpartition("\n\n")
    text += "\n"
    assert signatures.endswith("\n")
    verified = 0
    for line in signatures[:-1].split("\n"):
        dash, signer, signature = line.split(" ")
        signature = base64.b64decode(signature, validate=True)
        assert dash == "\u2014"
        if signer == name and signature[:4].hex() == key_id:
            Ed25519PublicKey.from_public_bytes(material[1:]).verify(signature[4:], text.encode())
            verified += 1
    assert verified == 1, "signed once by the log's key"
    return text, name


def checkpoint(note, vkey):
    text, name = open_note(note, vkey)
    origin, size, root = text.split("\n")[:3]
    assert origin == name and str(int(size)) == size
    return origin, int(size), base64.b64decode(root, validate=True)


def index_path(n):
    parts = []
    while True:
        parts.insert(0, "%03d" % (n % 1000))
        n //= 1000
        if n == 0:
            break
    return "/".join(["x" + part for part in parts[:-1]] + parts[-1:])


def tile(folder, level, n, width):
    path = folder / "tile" / str(level) / index_path(n)
    if width < 256:
        path = path.with_name(path.name + ".p") / str(width)
    return path.read_bytes()


def entries(data, width):
    found = []
    while data:
        length = int.from_bytes(data[:2], "big")
        assert len(data) >= 2 + length
        found.append(data[2:2 + length])
        data = data[2 + length:]
    assert len(found) == width
    return found


def verify(folder, vkey):
    origin, size, root = checkpoint((folder / "checkpoint").read_text(encoding="utf-8"), vkey)
    widths = [(n, min(256, size - 256 * n)) for n in range((size + 255) // 256)]
    leaves = [leaf(entry) for n, width in widths for entry in entries(tile(folder, "entries", n, width), width)]
    assert mth(leaves) == root, "the entries lead to the root"
    # Every tile of every level, each hash over a full tile below.
    hashes, level = leaves, 0
    while hashes:
        for n in range((len(hashes) + 255) // 256):
            part = hashes[256 * n:256 * (n + 1)]
            assert tile(folder, level, n, len(part)) == b"".join(part), f"tile {level}/{n}"
        hashes = [mth(hashes[256 * n:256 * (n + 1)]) for n in range(len(hashes) // 256)]
        level += 1
    for path in (folder / "checkpoints").iterdir():
        _, earlier, root = checkpoint(path.read_text(encoding="utf-8"), vkey)
        assert mth(leaves[:earlier]) == root, f"checkpoint {earlier} is of this history"
    return origin, leaves


def verify_proof(text, vkey, leaves):
    head, _, note = text.partition("\n\n")
    first, extra, index, *path = head.split("\n")
    assert first == "c2sp.org/tlog-proof@v1" and extra.startswith("extra ") and index.startswith("index ")
    at = int(index[6:])
    hashed = leaf(base64.b64decode(extra[6:], validate=True))
    assert hashed == leaves[at]
    _, size, root = checkpoint(note, vkey)
    # RFC 9162, section 2.1.3.2.
    fn, sn, r = at, size - 1, hashed
    for p in path:
        p = base64.b64decode(p, validate=True)
        assert sn > 0
        if fn & 1 or fn == sn:
            r = hashlib.sha256(b"\x01" + p + r).digest()
            while fn and not fn & 1:
                fn, sn = fn >> 1, sn >> 1
        else:
            r = hashlib.sha256(b"\x01" + r + p).digest()
        fn, sn = fn >> 1, sn >> 1
    assert sn == 0 and r == root, "the proof leads to the root"


def main():
    folder, vkey, *proofs = sys.argv[1:]
    sys.setrecursionlimit(10_000)
    origin, leaves = verify(pathlib.Path(folder), vkey)
    for proof in proofs:
        verify_proof(pathlib.Path(proof).read_text(encoding="utf-8"), vkey, leaves)
    print(len(leaves), origin)


main()
