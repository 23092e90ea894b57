import json
import shutil
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from forecasting.errors import DataError, UsageError
from forecasting.testing.formats import FormatContract
from forecasting.trajectories.formats import ReadOptions
from forecasting.trajectories.formats.sports import SportsFormat
from forecasting.trajectories.reading import read_trajectories, sniff
from forecasting.trajectories.trajectory import Trajectory
from forecasting.trajectories.validation import validate

kloppy = pytest.importorskip("kloppy")

SPORTS = SportsFormat()
FRAMES = ((1, 1), (1, 2), (1, 4), (2, 11), (2, 12))
SPORTEC_META = """<?xml version="1.0"?><PutDataRequest><MatchInformation>
<General MatchId="M-1" KickoffTime="2020-06-05T20:30:00.210+02:00" MatchDay="1" Result="1:0"/>
<Environment PitchX="100.0" PitchY="60.0"/>
<Teams>
<Team TeamId="T1" TeamName="one" Role="home"><Players>
<Player PersonId="P1" FirstName="a" LastName="b" Shortname="ab" ShirtNumber="1" PlayingPosition="TW" Starting="true"/></Players>
<TrainerStaff><Trainer Role="headcoach" Shortname="c"/></TrainerStaff></Team>
<Team TeamId="T2" TeamName="two" Role="guest"><Players>
<Player PersonId="P2" FirstName="a" LastName="b" Shortname="ab" ShirtNumber="1" PlayingPosition="TW" Starting="true"/></Players>
<TrainerStaff><Trainer Role="headcoach" Shortname="d"/></TrainerStaff></Team>
</Teams><OtherGameInformation TotalTimeFirstHalf="2700000" TotalTimeSecondHalf="2700000"/>
</MatchInformation></PutDataRequest>"""
SPORTEC = """<?xml version="1.0"?><PutDataRequest><Positions>
<FrameSet GameSection="firstHalf" MatchId="M-1" TeamId="T1" PersonId="P1"><Frame N="10000" X="1.5" Y="-2.0"/>
<Frame N="10001" Y="-2.0"/></FrameSet>
<FrameSet GameSection="firstHalf" MatchId="M-1" TeamId="BALL" PersonId="B"><Frame N="10000" X="0" Y="0" Z="0.5"/>
<Frame N="10003" X="0" Y="0" Z="-10"/></FrameSet>
<FrameSet GameSection="firstHalf" MatchId="M-1" TeamId="referee" PersonId="R"><Frame N="10002" X="9" Y="9"/></FrameSet>
</Positions></PutDataRequest>"""


def metrica(team: str, frames: Sequence[tuple[int, int]] = FRAMES, numbers: Sequence[int] = (7, 9)) -> str:
    head = "".join(f"{team},," for _ in numbers), "".join(f"{number},," for number in numbers)
    names = "".join(f"Player{number},," for number in numbers)
    lines = [f",,,{head[0]},", f",,,{head[1]},", f"Period,Frame,Time [s],{names}Ball,"]
    for period, frame in frames:
        seen = "NaN,NaN" if frame == 2 else f"0.{frame:02d},0.25"
        ball = "NaN,NaN" if frame == 4 else "0.5,0.75"
        lines.append(f"{period},{frame},{frame / 25:.2f},0.{frame:02d},0.5,{seen},{ball}")
    return "\n".join(lines) + "\n"


def save(folder: Path, files: Mapping[str, str]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name).write_text(text)
    return folder / next(iter(files))


def game(folder: Path, stem: str = "game", **changes: str) -> Path:
    files = {f"{stem}_home.csv": metrica("Home"), f"{stem}_away.csv": metrica("Away", numbers=(3, 5))}
    return save(folder, {name: changes.get(name.split("_")[-1].partition(".")[0], text) for name, text in files.items()})


def read(path: Path, **said: object) -> list[Trajectory]:
    return list(SPORTS.read(path, ReadOptions(**said)))  # type: ignore[arg-type]


class TestMetrica(FormatContract):
    format = "sports"
    shapes = ((3, 5, 2), (2, 5, 2))

    def example(self, folder: Path) -> Path:
        return game(folder)


class TestFolder(FormatContract):
    format = "sports"
    shapes = ((3, 5, 2), (2, 5, 2))

    def example(self, folder: Path) -> Path:
        game(folder / "match")
        (folder / "match/README.md").write_text("# Match\n")
        return folder / "match"

    def _damaged(self, path: Path) -> Path:
        return path / "game_home.csv" if path.is_dir() else path


class TestSportec(FormatContract):
    format = "sports"
    shapes = ((3, 2, 2),)

    def example(self, folder: Path) -> Path:
        return save(folder, {"positions.xml": SPORTEC, "info.xml": SPORTEC_META})


def test_metrica_in_detail(tmp_path: Path) -> None:
    first, second = read(game(tmp_path))
    assert [first.scene, second.scene] == ["game_home/period-1", "game_home/period-2"]
    assert first.node_ids.tolist() == ["home_7", "home_9", "away_3", "away_5", "ball"]
    assert first.node_types.tolist() == ["home", "home", "away", "away", "ball"]
    np.testing.assert_allclose(first.time, [0.04, 0.08, 0.16])
    np.testing.assert_allclose(second.time, [0.04, 0.08])
    np.testing.assert_allclose(first.positions[0, 1], [(0.01 - 0.5) * 105, (0.5 - 0.25) * 68])
    assert first.valid.tolist() == [[True] * 5, [True, False, True, False, True], [True] * 4 + [False]]
    assert (first.unit.name, first.frame.up, dict(first.fields)) == ("m", "none", {})
    assert first.source.options["pitch"] == [105.0, 68.0]


def test_the_user_knows_the_pitch_and_the_rate(tmp_path: Path) -> None:
    (found, _) = read(game(tmp_path), unit="x=100m,y=50m", rate=50)
    np.testing.assert_allclose(found.positions[0, 1], [(0.01 - 0.5) * 100, (0.5 - 0.25) * 50])
    np.testing.assert_allclose(found.time, [0.02, 0.04, 0.08])
    with pytest.raises(UsageError, match="fractions of the pitch"):
        read(game(tmp_path), unit="m")


def test_folders_are_read_once(tmp_path: Path) -> None:
    for stem in ("a", "b"):
        game(tmp_path / "pure", stem)
        game(tmp_path / "mixed", stem)
    save(tmp_path / "mixed", {"notes.txt": "filmed from the west\n"})
    names = [f"{stem}_home/period-{period}" for stem in "ab" for period in (1, 2)]
    assert [scene.scene for scene in read_trajectories(tmp_path / "pure")] == names
    assert [scene.scene for scene in read_trajectories(tmp_path / "pure", format="sports")] == names
    assert SPORTS.sniff(tmp_path / "mixed", b"") == 0
    assert [scene.scene for scene in read_trajectories(tmp_path / "mixed")] == names


def test_files_beside_are_not_plays(tmp_path: Path) -> None:
    away = game(tmp_path).with_name("game_away.csv")
    with pytest.raises(DataError, match="no known format"):
        sniff(away)
    with pytest.raises(DataError, match="name that one, or the folder"):
        read(away)
    with pytest.raises(DataError, match="not a folder of sports"):
        read(save(tmp_path / "none", {"a.md": "x"}).parent)


def test_pairs_that_are_not_clear(tmp_path: Path) -> None:
    path = game(tmp_path)
    shutil.copy(tmp_path / "game_away.csv", tmp_path / "x_away.csv")
    assert len(read(path)) == 2
    (tmp_path / "game_away.csv").rename(tmp_path / "y_away.csv")
    with pytest.raises(DataError, match=r"not clear which.*x_away.csv, y_away.csv"):
        read(path)
    (tmp_path / "y_away.csv").unlink()
    assert len(read(path)) == 2
    (tmp_path / "x_away.csv").unlink()
    with pytest.raises(DataError, match="needs its file of the away team"):
        read(path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"away": metrica("Away", FRAMES[:-1])}, "5 frames, but game_away.csv has 4"),
        ({"away": metrica("Away", ((1, 1), (1, 2), (1, 5), (2, 11), (2, 12)))}, "frame_id mismatch"),
        ({"away": metrica("Away", numbers=(3, 3))}, "stands twice"),
        ({"home": metrica("Home").replace("0.08,", "0.08,0.1,")}, "line 5 has"),
        ({"home": metrica("Home").replace("0.48,", "4.8,")}, "expected 25 frames a second"),
        ({"home": metrica("Home").replace("0.5,0.75", "0.5,north")}, "kloppy cannot read it as Metrica CSV"),
    ],
)
def test_contradictions(tmp_path: Path, changes: Mapping[str, str], message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        read(game(tmp_path, **changes))
    assert "\n" not in str(caught.value)


def test_sportec_in_detail(tmp_path: Path) -> None:
    (found,) = read(save(tmp_path, {"positions.xml": SPORTEC, "info.xml": SPORTEC_META}))
    np.testing.assert_allclose(found.time, [0.0, 0.04, 0.12])
    assert found.node_ids.tolist() == ["P1", "ball"]
    assert found.valid.tolist() == [[True, True], [False, False], [False, False]]
    assert found.positions[0].tolist() == [[1.5, -2.0], [0.0, 0.0]]
    assert found.fields["height"].values[0, 1, 0] == 0.5
    assert np.isnan(found.fields["height"].values[1:]).all()


@pytest.mark.parametrize(
    ("name", "old", "new", "message"),
    [
        ("positions.xml", "<PutDataRequest>", '<!DOCTYPE a [<!ENTITY b "c">]><PutDataRequest>', "document type"),
        ("info.xml", "<PutDataRequest>", '<!DOCTYPE a [<!ENTITY b "c">]><PutDataRequest>', "document type"),
        ("positions.xml", 'N="10001"', 'N="10000"', "two rows"),
        ("positions.xml", 'N="10001"', "", "without its number"),
        ("positions.xml", "firstHalf", "warmUp", "GameSection 'warmUp'"),
        ("positions.xml", 'X="1.5"', 'X="left"', "line 2"),
        ("positions.xml", "M-1", "M-2", "needs its match information"),
        ("positions.xml", 'PersonId="P1"', 'PersonId="P3"', None),
        ("info.xml", 'Role="guest"', 'Role="home"', "kloppy cannot read it as Sportec"),
    ],
)
def test_damaged_sportec(tmp_path: Path, name: str, old: str, new: str, message: str | None) -> None:
    path = save(tmp_path, {"positions.xml": SPORTEC, "info.xml": SPORTEC_META})
    (tmp_path / name).write_text((tmp_path / name).read_text().replace(old, new))
    if message is None:
        assert read(path)[0].node_ids.tolist() == ["ball"]
        return
    with pytest.raises(DataError, match=message):
        read(path)


def tracab(root: Path, folder: Path) -> tuple[Path, Path]:
    for name in ("tracab_raw.dat", "tracab_meta_4.xml"):
        shutil.copy(root / f"sports/kloppy-samples/{name}", folder / name)
        (folder / name).chmod(0o644)
    return folder / "tracab_raw.dat", folder / "tracab_meta_4.xml"


def test_hostile_files_are_refused_quickly(tmp_path: Path) -> None:
    lines = "".join(f"{n}:1,{n},{n},0,0,0.00;:0,0,0,0,H,Alive;:\n" for n in range(20_000))
    meta = "<root><PitchLongSide>10500</PitchLongSide></root>"
    path = save(tmp_path / "a", {"a.dat": lines, "a_meta.xml": meta})
    started = time.perf_counter()
    with pytest.raises(DataError, match="more than 600 objects"):
        read(path)
    frames = "".join(
        f'{{"frame": {n}, "period": 1, "timestamp": "0:0:{n}", "ball_data": {{"x": null, "y": null}}, '
        f'"player_data": [{{"player_id": {n}, "x": 0, "y": 0}}]}}\n'
        for n in range(8000)
    )
    with pytest.raises(DataError, match="8000 players"):
        read(save(tmp_path / "b", {"b.jsonl": frames}))
    deep = '{"player_data": 1, "ball_data":' + "[" * 500_000
    with pytest.raises(DataError, match="line 1 is not"):
        read(save(tmp_path / "c", {"c.jsonl": deep}))
    assert time.perf_counter() - started < 2


def frame(number: int, clock: str | None, period: int | None, x: float | None = 1.0) -> str:
    players = [{"player_id": 5, "x": x, "y": 2.0}, {"player_id": 6, "x": 3, "y": 4}]
    ball = {"x": 0.5, "y": None if x is None else 0.5, "z": None}
    return json.dumps({"frame": number, "timestamp": clock, "period": period, "ball_data": ball, "player_data": players}) + "\n"


def about(players: Sequence[int]) -> str:
    squad = [{"id": name, "team_id": 1 + name % 2} for name in players]
    return json.dumps({"home_team": {"id": 1}, "away_team": {"id": 2}, "players": squad, "pitch_length": 105, "pitch_width": 68})


def test_skillcorner(tmp_path: Path) -> None:
    lines = frame(0, None, None) + frame(7, "00:00:00.00", 1) + frame(9, "00:00:00.20", 1, None) + frame(20, "00:45:01.00", 2)
    path = save(tmp_path, {"1_tracking.jsonl": lines, "1_match.json": about((5, 6, 7))})
    first, second = read(path)
    assert first.node_ids.tolist() == ["5", "6", "ball"]
    assert first.node_types.tolist() == ["away", "home", "ball"]
    assert first.time.tolist() == [0.0, 0.2]
    assert second.time.tolist() == [1.0]
    assert first.valid.tolist() == [[True] * 3, [False, True, False]]
    assert read(path, rate=5)[0].time.tolist() == [0.0, 0.4]
    (tmp_path / "1_match.json").write_text(about((5,)))
    with pytest.raises(DataError, match="player 6 is not in 1_match"):
        read(path)
    (tmp_path / "1_match.json").write_text(about((1, 2)))
    assert read(path)[0].node_types.tolist() == ["player", "player", "ball"]
    (tmp_path / "1_match.json").unlink()
    assert read(path)[0].node_types.tolist() == ["player", "player", "ball"]
    path.write_text(lines[:-20])
    with pytest.raises(DataError, match="line 4 is not a SkillCorner frame"):
        read(path)


REAL = {
    "epts_metrica_tracking.txt": {1: (50, 20, 1000), 2: (50, 20, 1000)},
    "metrica_home.csv": {1: (3, 23, 69), 2: (3, 22, 66)},
    "skillcorner_v3_raw_data.jsonl": {1: (13, 23, 69), 2: (14, 23, 69)},
    "sportec_positional.xml": {1: (101, 4, 258), 2: (104, 3, 232)},
    "tracab_raw.dat": {1: (4, 23, 92), 2: (3, 29, 69)},
}


@pytest.mark.parametrize("name", REAL)
def test_real_counts(real_data: Path, name: str) -> None:
    path = real_data / "sports/kloppy-samples" / name
    assert sniff(path) is not None
    scenes = read(path)
    found = {scene.source.options["period"]: (*scene.valid.shape, int(scene.valid.sum())) for scene in scenes}
    assert found == REAL[name]
    for scene in scenes:
        assert not [finding for finding in validate(scene) if finding.severity == "error"]
        assert np.nanmax(np.abs(scene.positions)) < 60
        assert set(scene.node_types.tolist()) <= {"home", "away", "player", "ball"}


def test_real_folder_is_read_once(real_data: Path) -> None:
    names = [scene.scene for scene in read_trajectories(real_data / "sports/kloppy-samples")]
    assert sorted(names) == sorted(f"{Path(name).stem}/period-{period}" for name in REAL for period in (1, 2))


def compare(scenes: Sequence[Trajectory], dataset: object, x: Sequence[float], y: Sequence[float]) -> int:
    """Compare with every frame of kloppy; a coordinate is (number - offset) * factor. Returns how many were compared."""
    count = 0
    by_period = {scene.source.options["period"]: scene for scene in scenes}
    for item in dataset.records:  # type: ignore[attr-defined]
        scene = by_period[item.period.id]
        step = int(np.argmin(np.abs(scene.time - item.timestamp.total_seconds())))
        assert scene.time[step] == pytest.approx(item.timestamp.total_seconds(), abs=1e-5)
        places = {str(player.player_id): data.coordinates for player, data in item.players_data.items()}
        for name, place in {**places, "ball": item.ball_coordinates}.items():
            if place is None or np.isnan(place.x):
                assert name not in scene.node_ids or not scene.valid[step, scene.node_ids.tolist().index(name)]
                continue
            node = scene.node_ids.tolist().index(name)
            expected = [(place.x - x[0]) * x[1], (place.y - y[0]) * y[1]]
            np.testing.assert_allclose(scene.positions[step, node], expected, atol=1e-9)
            if name == "ball" and "height" in scene.fields:
                assert scene.fields["height"].values[step, node, 0] == pytest.approx(place.z * x[1])
            count += 1
    return count


def test_positions_are_those_of_kloppy(real_data: Path) -> None:
    from kloppy import metrica as metrica_module
    from kloppy import sportec
    from kloppy import tracab as tracab_module

    folder = real_data / "sports/kloppy-samples"
    raw = {
        "metrica_home.csv": metrica_module.load_tracking_csv(
            folder / "metrica_home.csv", folder / "metrica_away.csv", coordinates="metrica"
        ),
        "epts_metrica_tracking.txt": metrica_module.load_tracking_epts(
            folder / "epts_metrica_metadata.xml", folder / "epts_metrica_tracking.txt", coordinates="metrica"
        ),
        "tracab_raw.dat": tracab_module.load(folder / "tracab_meta_4.xml", folder / "tracab_raw.dat", coordinates="tracab"),
        "sportec_positional.xml": sportec.load_tracking(
            folder / "sportec_meta.xml", folder / "sportec_positional.xml", coordinates="sportec:tracking"
        ),
    }
    scale = {
        "metrica_home.csv": ((0.5, 105), (0.5, 68)),
        "epts_metrica_tracking.txt": ((0.5, 105), (0.5, -68)),
        "tracab_raw.dat": ((0, 0.01), (0, 0.01)),
        "sportec_positional.xml": ((0, 1), (0, 1)),
    }
    counts = {name: compare(read(folder / name), dataset, *scale[name]) for name, dataset in raw.items()}
    assert counts == {
        "metrica_home.csv": 135,
        "epts_metrica_tracking.txt": 2000,
        "tracab_raw.dat": 161,
        "sportec_positional.xml": 487,
    }


def test_skillcorner_is_that_of_kloppy(real_data: Path, tmp_path: Path) -> None:
    meta = Path(kloppy.__file__).parent / "tests/files/skillcorner_meta_data.json"
    if not meta.exists():
        pytest.skip("this kloppy comes without its test files")
    from kloppy import skillcorner

    path = tmp_path / "raw.jsonl"
    shutil.copy(real_data / "sports/kloppy-samples/skillcorner_v3_raw_data.jsonl", path)
    shutil.copy(meta, tmp_path / "match.json")
    scenes = read(path)
    assert {"home", "away", "ball"} == set(scenes[0].node_types.tolist())
    dataset = skillcorner.load(meta, path, coordinates="skillcorner", include_empty_frames=True)
    assert len(dataset.records) == 27
    assert compare(scenes, dataset, (0, 1), (0, 1)) == 138


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("<root>", '<!DOCTYPE a [<!ENTITY b "c">]><root>', "document type"),
        ("<PitchLongSide>10500", "<PitchLongSide>0", "the pitch is 0.0 m"),
        ("<FrameRate>25", "<FrameRate>fast", "kloppy cannot read it as TRACAB"),
    ],
)
def test_damaged_metadata(real_data: Path, tmp_path: Path, old: str, new: str, message: str) -> None:
    path, meta = tracab(real_data, tmp_path)
    meta.write_text(meta.read_text().replace(old, new))
    with pytest.raises(DataError, match=message):
        read(path)


def test_damage_of_real_files_is_never_a_crash(real_data: Path, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for item in (real_data / "sports/kloppy-samples").iterdir():
        shutil.copy(item, tmp_path / item.name)
        (tmp_path / item.name).chmod(0o644)
    for name in sorted(item.name for item in tmp_path.iterdir() if item.suffix in SPORTS.suffixes or item.suffix == ".json"):
        content = np.frombuffer((tmp_path / name).read_bytes(), dtype=np.uint8)
        for _ in range(6):
            other = content.copy()
            other[rng.integers(0, len(other), size=8)] = rng.integers(0, 256, size=8)
            (tmp_path / name).write_bytes(other.tobytes()[: rng.integers(len(other) // 2, len(other))])
            for play in REAL:
                with suppress(DataError, UsageError):
                    read(tmp_path / play)
        (tmp_path / name).write_bytes(content.tobytes())
