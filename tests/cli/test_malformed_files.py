"""Forty files that lie, break off or attack: one clear line, exit code 3, nothing written, little memory, no waiting."""

import io
import json
import pickle
import re
import struct
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

LAUNCH = """
import pathlib, resource, subprocess, sys
code = subprocess.call(sys.argv[2:])
pathlib.Path(sys.argv[1]).write_text(str(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss))
sys.exit(code)
"""
"""Runs a command from a small process: the peak memory of a child counts from that of the process that started it."""
LARGEST = 1 << 30
SLOWEST = 10.0
HEADER = "# unit: m\n"
LONG = HEADER + "scene,time,node,x,y\n"
BVH = """HIERARCHY
ROOT Hips
{
  OFFSET 0 0 0
  CHANNELS 6 Xposition Yposition Zposition Zrotation Xrotation Yrotation
  JOINT Knee
  {
    OFFSET 0 -1 0
    CHANNELS 3 Zrotation Xrotation Yrotation
    End Site
    {
      OFFSET 0 -1 0
    }
  }
}
MOTION
Frames: 2
Frame Time: 0.1
0 1 0 0 0 0 0 0 0
0 1 0 0 0 0 0 0 0
"""
ASF = """:version 1.10
:name a
:units
  mass 1.0
  length 0.45
  angle deg
:root
  order TX TY TZ RX RY RZ
  axis XYZ
  position 0 0 0
  orientation 0 0 0
:bonedata
  begin
    id 1
    name hip
    direction 0 -1 0
    length 2
    axis 0 0 0 XYZ
    dof rx
    limits (-10 10)
  end
:hierarchy
  begin
    root hip
  end
"""
AMC = ":FULLY-SPECIFIED\n:DEGREES\n1\nroot 0 0 0 0 0 0\nhip 5\n2\nroot 0 0 1 0 0 0\nhip 6\n"
XYZ = '2\nLattice="5 0 0 0 5 0 0 0 5" Properties=species:S:1:pos:R:3 Time=0\nO 0 0 0\nH 0 0 1\n'
TRC = (
    "PathFileType\t4\t(X/Y/Z)\ta.trc\nDataRate\tCameraRate\tNumFrames\tNumMarkers\tUnits\tOrigDataRate\tOrigDataStartFrame\t"
    "OrigNumFrames\n100\t100\t{frames}\t1\tmm\t100\t1\t{frames}\nFrame#\tTime\tA\n\t\tX1\tY1\tZ1\n\n1\t0.00\t1\t2\t3\n2\t0.01\t1\t2\t3\n"
)
TRACK = '{"track": {"f": %d, "p": 1, "x": 1.0, "y": 2.0}}\n'
SCENE = '{"scene": {"id": 0, "p": 1, "s": 0, "e": 10, "fps": 2.5, "tag": 0}}\n'


def text(content: str, name: str) -> Callable[[Path], Path]:
    """A file with this text."""
    return raw(content.encode(), name)


def raw(content: bytes, name: str) -> Callable[[Path], Path]:
    """A file with these bytes."""

    def make(folder: Path) -> Path:
        (folder / name).write_bytes(content)
        return folder / name

    return make


def npz(**arrays: np.ndarray) -> bytes:
    """The bytes of an archive of arrays."""
    place = io.BytesIO()
    np.savez_compressed(place, **arrays)
    return place.getvalue()


def bomb(folder: Path) -> Path:
    """An archive of 5 MB that unpacks to 1 GB of zeros, with a header that fits."""
    path = folder / "bomb.npz"
    archive = zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1)
    with archive, archive.open("positions.npy", "w") as member:
        header = io.BytesIO()
        np.lib.format.write_array_header_1_0(header, {"descr": "<f8", "fortran_order": False, "shape": (1 << 14, 1 << 12, 2)})
        member.write(header.getvalue())
        zeros = bytes(1 << 24)
        for _ in range(64):
            member.write(zeros)
    return path


def pickled(folder: Path) -> Path:
    """An array of objects, which unpickling would run."""
    path = folder / "objects.npy"
    np.save(path, np.array([{"a": 1}, None], dtype=object), allow_pickle=True)
    return path


def lying_npy(folder: Path) -> Path:
    """A header that claims 10^9 frames over 16 bytes."""
    path = folder / "lying.npy"
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, {"descr": "<f8", "fortran_order": False, "shape": (10**9, 15, 2)})
        file.write(bytes(16))
    return path


def columns(folder: Path) -> Path:
    """A header line of 200 MB, as a table of a hundred million columns would have."""
    path = folder / "wide.csv"
    with path.open("wb") as file:
        for _ in range(200):
            file.write(b"a," * (1 << 19))
        file.write(b"\n1\n")
    return path


def parquet(folder: Path, cut: int = 0, **columns: object) -> Path:
    """A Parquet file, perhaps cut."""
    path = folder / "t.parquet"
    pq.write_table(pa.table(columns), path)
    path.write_bytes(path.read_bytes()[: -cut or None])
    return path


def motion(asf: str, amc: str) -> Callable[[Path], Path]:
    """A skeleton and a motion of it."""

    def make(folder: Path) -> Path:
        (folder / "a.asf").write_text(asf)
        (folder / "a.amc").write_text(amc)
        return folder / "a.amc"

    return make


def dcd(frames: int) -> bytes:
    """A DCD header that claims so many frames of two atoms, and one frame."""
    control = b"CORD" + struct.pack("<9i", frames, 1, 1, frames, 0, 0, 0, 0, 0) + struct.pack("<f", 1.0) + bytes(40)
    record = lambda body: struct.pack("<i", len(body)) + body + struct.pack("<i", len(body))  # noqa: E731
    head = record(control[:84]) + record(struct.pack("<i", 1) + b" " * 80) + record(struct.pack("<i", 2))
    return head + record(struct.pack("<2f", 0, 1)) * 3


def c3d(folder: Path) -> Path:
    """A C3D file of which half is there."""
    import ezc3d

    made = ezc3d.c3d()
    made["parameters"]["POINT"]["RATE"]["value"] = [100.0]
    made["parameters"]["POINT"]["LABELS"]["value"] = ("a", "b")
    made["data"]["points"] = np.ones((4, 2, 400))
    path = folder / "half.c3d"
    made.write(str(path))
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    return path


def walks(x: str) -> str:
    """Nine frames of one walker."""
    return LONG + "".join(f"a,{frame},1,{x},{x if x == 'nan' else 2}\n" for frame in range(9))


def satellite(row: str) -> str:
    """An object with two states, the second as given."""
    return f" 5 xx\n 0.0 7022.4 -1400.0 0.03 1.89 6.40 4.53\n {row}\n"


LEAP = LONG + "".join(f"a,{t},{n},{9e9 if t == n == 5 else t},0\n" for t in range(20) for n in range(9))
DEEP = "HIERARCHY\nROOT a\n{\n" + "".join(f"JOINT j{n}\n{{\n" for n in range(200_000))
BACK = npz(positions=np.random.default_rng(0).normal(size=(9, 2, 2)), time=np.r_[0:8, 3.0])
OBJECTS = npz(positions=np.array([{}, None], dtype=object))
PLAIN = ("--format", "npz", "--unit", "m", "--rate", "1")
LAUGHS = '<!DOCTYPE l [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">]>'
COMMONROAD = '<commonRoad commonRoadVersion="2020a" timeStepSize="0.1">%s</commonRoad>'
FLIGHT = {"timestamp": 1.5e12, "icao24": "a", "latitude": 47.0, "longitude": 8.0, "altitude": 1000.0}
HORIZONS = (
    "Target body name: Earth (399) {source: DE431mx}\nCenter body name: Solar System Barycenter (0)\nOutput units    : AU-D\n"
    "Reference frame : ICRF/J2000.0\n*******\n    JDTDB, Calendar Date (TDB), X, Y, Z, VX, VY, VZ,\n*******\n$$SOE\n"
    "2458398.5, A.D. 2018-Oct-07 00:00:00.0000, 1, 2, 3, 4, 5, 6,\n2458399.5, A.D. 2018-Oct-08 00:00:00.0000, 1, 2, six,\n$$EOE\n"
)

FILES: dict[str, tuple[Callable[[Path], Path], str, tuple[str, ...]]] = {
    "empty": (raw(b"", "a.csv"), "empty", ()),
    "header only": (text(LONG, "a.csv"), "no rows", ()),
    "text in numbers": (text(LONG + "a,0,1,1,2\na,1,1,oops,2\n", "a.csv"), "line 4, column 4: 'oops'", ()),
    "a row breaks off": (text(LONG + "a,0,1,1,2\na,1,1\n", "a.csv"), "line 4 has 3 columns, expected 5", ()),
    "not UTF-8": (raw(LONG.encode() + "a,0,né,1,2\n".encode("latin-1") * 3, "a.csv"), "not UTF-8", ()),
    "UTF-16": (raw((LONG + "a,0,1,1,2\n").encode("utf-16"), "a.csv"), "not UTF-8", ()),
    "infinite positions": (text(walks("inf"), "a.csv"), "non_finite", ()),
    "no position at all": (text(walks("nan"), "a.csv"), "no scene has an observed position", ()),
    "no time": (text(LONG + "a,0,1,1,2\na,,1,1,2\n", "a.csv"), "line 4 has no finite time", ()),
    "an id twice in a frame": (text(LONG + "a,0,1,1,2\na,0,1,3,2\n", "a.csv"), "line 4 repeats node", ()),
    "clock that runs back": (raw(BACK, "a.npz"), "backward_time", ("--unit", "m", "--key", "positions")),
    "a leap": (text(LEAP, "a.csv"), "jump", ()),
    "two names of a column": (text(HEADER + "time,node,x,x,y\n0,1,1,1,2\n", "a.csv"), "two columns 'x'", ()),
    "a hundred million columns": (columns, "line is longer|no known format", ()),
    "damaged note": (text("# unit: m\n# fields: {]\ntime,node,x,y\n0,1,1,2\n", "a.csv"), "note 'fields' is damaged", ()),
    "binary as a table": (raw(bytes(range(256)) * 400, "a.csv"), "no known format", ()),
    "scenes nearly empty": (text(LONG + "".join(f"a,{n},{n},0,0\n" for n in range(20_000)), "a.csv"), "nearly all empty", ()),
    "zip bomb": (bomb, "1073741952 bytes out of", ("--unit", "m", "--rate", "10", "--key", "positions")),
    "pickle in an npz": (raw(OBJECTS, "a.npz"), "pickled", (*PLAIN, "--key", "positions")),
    "pickled npy": (pickled, "object", PLAIN),
    "bare pickle": (raw(pickle.dumps([1, 2]), "a.npy"), "no known format", ()),
    "10^9 frames declared": (lying_npy, "10+|bytes", PLAIN),
    "cut npz": (raw(npz(positions=np.ones((50, 3, 2)))[:200], "a.npz"), "npz|archive|zip", PLAIN),
    "cut Parquet": (
        lambda folder: parquet(folder, 20, time=[0.0, 1], node=[1, 1], x=[0.0, 1], y=[1.0, 2]),
        "Parquet",
        ("--unit", "m"),
    ),
    "texts in Parquet": (
        lambda folder: parquet(folder, time=["a", "b"], node=[1, 1], x=["?", "!"], y=[1.0, 2]),
        "number|no known",
        ("--unit", "m"),
    ),
    "BVH with a cycle": (text(BVH.replace("Knee", "Hips"), "a.bvh"), "Hips", ("--unit", "m")),
    "BVH that breaks off": (text(BVH.rsplit("\n", 2)[0], "a.bvh"), "2 frames|1", ("--unit", "m")),
    "BVH of 10^9 frames": (text(BVH.replace("Frames: 2", "Frames: 1000000000"), "a.bvh"), "1000000000", ("--unit", "m")),
    "BVH a million joints deep": (text(DEEP, "a.bvh"), "line", ("--unit", "m")),
    "AMC of another skeleton": (motion(ASF, AMC.replace("hip", "elbow")), "elbow", ()),
    "AMC with a frame cut": (motion(ASF, AMC.rsplit("\n", 2)[0]), "end of the file within a frame", ()),
    "skeleton with a cycle": (motion(ASF.replace("root hip", "root hip\n    hip hip"), AMC), "hip", ()),
    "xyz that breaks off": (text(XYZ * 2 + "2\nb\nO 0 0 0\n", "a.xyz"), "line", ("--rate", "1")),
    "xyz of 10^9 atoms": (text(XYZ + XYZ.replace("2\n", "1000000000\n", 1), "a.xyz"), "1000000000", ("--rate", "1")),
    "TRC with another count": (text(TRC.format(frames=652), "a.trc"), "652", ("--up", "y")),
    "C3D of which half is there": (c3d, "half", ("--up", "z", "--unit", "m")),
    "DCD of 500 frames, one there": (raw(dcd(500), "a.dcd"), "500", ("--unit", "angstrom")),
    "TrajNet++ with a line cut": (text(SCENE + TRACK % 0 + TRACK % 10 + '{"track": {"f": 2', "a.ndjson"), "line 4", ()),
    "TrajNet++ frame 10^18": (text(SCENE + TRACK % 0 + TRACK % 10**18 + TRACK % 7, "a.ndjson"), "frame|10+", ()),
    "XML entity bomb": (text(LAUGHS + COMMONROAD % "&b;", "a.xml"), "entit|doctype", ("--format", "commonroad")),
    "CommonRoad without cars": (text('<?xml version="1.0"?>\n' + COMMONROAD % "", "a.xml"), "obstacle|car|vehicle", ()),
    "planets with a row cut": (text(HORIZONS, "a.dat"), "line 10", ("--format", "horizons")),
    "aircraft without a place": (
        text(json.dumps([FLIGHT, {**FLIGHT, "latitude": 470.0}]), "a.json"),
        "latitude",
        ("--format", "adsb"),
    ),
    "hour 25": (
        text(json.dumps([FLIGHT, {**FLIGHT, "timestamp": "2019-01-01 25:00:00"}]), "a.json"),
        "timestamp|25:00",
        ("--format", "adsb"),
    ),
    "satellite with a row cut": (text(satellite("360.0 7000.0 12"), "a.out"), "line 3", ()),
}


def test_there_are_forty() -> None:
    assert len(FILES) >= 40


@pytest.mark.parametrize("name", FILES)
def test_one_clear_line(tmp_path: Path, name: str) -> None:
    make, message, options = FILES[name]
    (tmp_path / "in").mkdir()
    path = make(tmp_path / "in")
    before = sorted((tmp_path / "in").iterdir())
    command = [sys.executable, "-m", "forecasting.cli.main", "ingest", str(path), "-o", str(tmp_path / "set"), *options]
    start = time.monotonic()
    with (tmp_path / "out").open("w") as output, (tmp_path / "err").open("w") as errors:
        launched = [sys.executable, "-c", LAUNCH, str(tmp_path / "peak"), *command]
        code = subprocess.run(launched, stdout=output, stderr=errors, check=False).returncode
    seconds = time.monotonic() - start
    said = (tmp_path / "err").read_text()
    assert code == 3, said
    (line,) = [line for line in said.splitlines() if line.startswith("forecast: error: ")]
    assert re.search(message, line), line
    assert str(path) in line or str(path.with_suffix(".asf")) in line
    assert "Traceback" not in said
    assert (tmp_path / "out").read_text() == ""
    assert sorted((tmp_path / "in").iterdir()) == before
    assert sorted(item.name for item in tmp_path.iterdir()) == ["err", "in", "out", "peak"]
    assert int((tmp_path / "peak").read_text()) * 1024 < LARGEST
    assert seconds < SLOWEST
