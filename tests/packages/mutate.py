"""Loads mutated copies of a package, one after the other, and prints what came of it as JSON: mutate.py PACKAGE COUNT SEED.

Every copy must be refused with a PackageError of one line, or load to a package that holds what its files say. A copy that was
not sealed again must be refused or load to exactly the package.
"""

import json
import os
import random
import shutil
import sys
import tempfile
import warnings
from collections import Counter
from pathlib import Path

from forecasting.errors import PackageError
from forecasting.packages import load_package, save_package
from forecasting.testing.packages import assert_same, seal

FILES = ("package.json", "weights.safetensors")
HOSTILE = (
    0, -1, 1, 2, 7, 10**6, 10**9, 2**31, 2**53, 2**62, 1e-300, 1e300, True, None, "", "x", "this", "os.system", "builtins.eval",
    "\x00",
    "__import__('this')", "ünïcode", "1000000000x0e", "1x100000o", "C_1000000(z)", [], {}, [[]], [1] * 5000, ["O(3)", "identity"],
    [10**9], [2, 1], {"a": 1}, "y" * 5000, [None], ["mlp"], ["this"],
)  # fmt: skip
FORBIDDEN = {"os.system", "subprocess.Popen", "os.exec", "os.posix_spawn", "os.fork", "socket.connect", "pickle.find_class"}


def flip(folder, draw):
    path = folder / draw.choice(FILES)
    content = bytearray(path.read_bytes())
    for _ in range(draw.choice((1, 1, 1, 2, 16))):
        content[draw.randrange(len(content))] ^= 1 << draw.randrange(8)
    path.write_bytes(content)


def truncate(folder, draw):
    path = folder / draw.choice(FILES)
    path.write_bytes(path.read_bytes()[: draw.randrange(path.stat().st_size)])


def insert(folder, draw):
    path = folder / draw.choice(FILES)
    content, at = path.read_bytes(), draw.randrange(path.stat().st_size + 1)
    path.write_bytes(content[:at] + draw.randbytes(draw.choice((1, 8, 1000, 6_000_000))) + content[at:])


def exchange(folder, draw):
    path = folder / draw.choice(FILES)
    path.unlink()
    kind = draw.choice(("absent", "folder", "pipe", "link", "loop", "empty", "device"))
    if kind == "folder":
        path.mkdir()
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind in ("link", "loop", "device"):
        path.symlink_to({"link": "/etc/passwd", "loop": path, "device": "/dev/zero"}[kind])
    elif kind == "empty":
        path.touch()


def rewrite_header(folder, draw):
    path = folder / "weights.safetensors"
    content = path.read_bytes()
    size = int.from_bytes(content[:8], "little")
    header, data = json.loads(content[8 : 8 + size]), content[8 + size :]
    entry = header[draw.choice(sorted(header))]
    what = draw.choice(("shape", "dtype", "data_offsets", "name", "length", "drop", "text"))
    if what == "length":
        claimed = draw.choice((0, 1, 2**31, 2**62, 2**64 - 1, size + draw.randrange(1, 99), draw.randrange(size)))
        path.write_bytes(claimed.to_bytes(8, "little") + content[8:])
        return seal(folder)
    if what == "name":
        header[draw.choice(("", "a" * 5000, "../x", "__metadata__"))] = entry
    elif what == "drop":
        del header[draw.choice(sorted(header))]
    elif what == "text":
        header = draw.choice(HOSTILE)
    else:
        entry[what] = draw.choice((*HOSTILE, "F8_E4M3", "F64", "I64", [10**9] * 3, [2**40, 2**40], [0], [-1, 4], [0, 2**62]))
    changed = json.dumps(header).encode()
    path.write_bytes(len(changed).to_bytes(8, "little") + changed + data)
    return seal(folder)


def rewrite_value(folder, draw):
    card = json.loads((folder / "package.json").read_text())
    key, value = draw.choice(list(card)), card
    while isinstance(value[key], dict | list) and value[key] and draw.random() < 0.8:
        value = value[key]
        key = draw.choice(list(value)) if isinstance(value, dict) else draw.randrange(len(value))
    what = draw.choice(("replace", "replace", "replace", "delete", "add"))
    if what == "delete":
        del value[key]
    elif what == "add" and isinstance(value, dict):
        value[draw.choice(("this", "_target_", "hook", "__class__"))] = draw.choice(HOSTILE)
    else:
        value[key] = draw.choice(HOSTILE)
    write(folder, json.dumps(card))


def write(folder, text):
    path = folder / "package.json"
    path.write_text(text)
    try:
        seal(folder)
    except (KeyError, TypeError, AttributeError, ValueError):
        path.write_text(text)


def hostile_text(folder, draw):
    path = folder / "package.json"
    card = json.loads(path.read_text())
    card["card"] = "HERE"
    texts = (
        "NaN",
        "-Infinity",
        "1e999",
        "9" * 6000,
        "[" * 100_000,
        '{"a":' * 50_000,
        "[" * 40 + "]" * 40,
        '{"a":1,"a":2}',
        "[[],",
    )
    path.write_text(json.dumps(card).replace('"HERE"', draw.choice((*texts, "{},\n" * 900_000, '"' + "x" * 5_000_000 + '"'))))


UNSEALED = (flip, truncate, insert, exchange, hostile_text)
SEALED = (rewrite_header, rewrite_value, rewrite_value, rewrite_value)


def tried(package, original, mutate, draw):
    """What came of one mutated copy."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(shutil.copytree(package, Path(place) / "copy"))
        mutate(folder, draw)
        try:
            loaded = load_package(folder)
        except PackageError as error:
            return "refused" if len(str(error).splitlines()) == 1 and len(str(error)) < 1000 else f"said {error}"
        if mutate in UNSEALED:
            assert_same(loaded, original)
            return "the same"
        assert_same(load_package(save_package(loaded, Path(place) / "again")), loaded)
        return "another, sealed"


def guard(event, arguments):
    """An audit hook: nothing a package says may start a program, unpickle or call out."""
    if event in FORBIDDEN:
        raise RuntimeError(f"{event} {arguments}")


def main(package, count, seed):
    warnings.simplefilter("ignore")
    original, came = load_package(package), Counter()
    sys.addaudithook(guard)
    for index in range(count):
        draw = random.Random(f"{seed}-{index}")
        mutate = draw.choice((*UNSEALED, *SEALED))
        try:
            came[tried(package, original, mutate, draw)] += 1
        except BaseException as error:
            error.add_note(f"mutation {index} of seed {seed}: {mutate.__name__}")
            raise
    assert "this" not in sys.modules
    status = Path("/proc/self/status").read_text()  # ru_maxrss would begin at that of the process that started this one
    peak = next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM"))
    print(json.dumps({"came": dict(came), "peak_bytes": peak}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
