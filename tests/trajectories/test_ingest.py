"""From files to data sets: provenance, findings, and content that decides."""

import pytest

from forecasting.errors import DataError, UsageError
from forecasting.trajectories.formats import ReadOptions
from forecasting.trajectories.ingest import IngestOptions, cached, ingest, prepared

METRES = IngestOptions(read=ReadOptions(unit="m"))


@pytest.fixture
def table(tmp_path):
    rows = [f"{t / 10},{node},{t * 0.1 + node},{node}" for t in range(20) for node in (1, 2, 3)]
    path = tmp_path / "walk.csv"
    path.write_text("time,node,x,y\n" + "\n".join(rows) + "\n")
    return path


def with_jump(path):
    path.write_text(path.read_text().replace("1.0,2,3.0,2", "1.0,2,9e9,2"))
    return path


def test_provenance_names_files_and_options(table, tmp_path):
    dataset = ingest([table], tmp_path / "set", METRES)
    about = dataset.manifest.provenance
    assert about["files"][0]["path"] == str(table)
    assert len(about["files"][0]["sha256"]) == 64
    assert about["options"]["read"]["unit"] == "m"
    assert about["findings_count"] == 0


def test_the_cache_is_keyed_by_content_and_options(table, tmp_path):
    first = cached([table], METRES, tmp_path / "root")
    assert cached([table], METRES, tmp_path / "root").folder == first.folder
    assert cached([table], IngestOptions(read=ReadOptions(unit="cm")), tmp_path / "root").folder != first.folder
    table.write_text(table.read_text().replace("0.5,1,", "0.5,1,0"))
    assert cached([table], METRES, tmp_path / "root").folder != first.folder


def test_impossible_values_stop_unless_told_otherwise(table, tmp_path):
    with_jump(table)
    with pytest.raises(DataError, match="jump"):
        ingest([table], tmp_path / "set", METRES)
    assert not (tmp_path / "set").exists()
    masked = ingest([table], tmp_path / "set", IngestOptions(read=ReadOptions(unit="m", on_error="mask")))
    finding = masked.manifest.provenance["findings"][0]
    assert (finding["check"], finding["severity"], finding["node"], finding["frames"]) == ("jump", "error", 2, [10])
    assert finding["text"].startswith(f"error: {table}: scene 'walk'")
    assert 0 < 60 - masked.manifest.counts["rows"] < 5
    dropped = ingest([table], tmp_path / "less", IngestOptions(read=ReadOptions(unit="m", on_error="drop")))
    assert dropped.manifest.counts["rows"] == 40


def test_ids_can_become_types(table, tmp_path):
    dataset = ingest([table], tmp_path / "set", IngestOptions(read=ReadOptions(unit="m"), types="id"))
    assert dataset.manifest.node_types == ("1", "2", "3")
    with pytest.raises(UsageError, match="types"):
        IngestOptions(types="ids")


def test_fields_are_kept_by_name(tmp_path):
    path = tmp_path / "walk.csv"
    rows = "".join(f"{t / 10},{node},{t * 0.1 + node},{node},1,2\n" for t in range(9) for node in (1, 2))
    path.write_text("time,node,x,y,age,speed\n" + rows)
    for wanted, kept in ((None, {"age", "speed"}), (("age",), {"age"}), ((), set())):
        options = IngestOptions(read=ReadOptions(unit="m"), fields=wanted)
        assert set(ingest([path], tmp_path / "set", options).manifest.fields) == kept
    with pytest.raises(UsageError, match=r"unknown field of .*'aeg'; did you mean 'age'"):
        ingest([path], tmp_path / "set", IngestOptions(read=ReadOptions(unit="m"), fields=("aeg",)))


def test_a_data_set_is_prepared_like_files(table, tmp_path):
    ingest([table], tmp_path / "set", METRES)
    (scene,) = prepared([tmp_path / "set"], IngestOptions(), print)
    assert (scene.scene, scene.valid.shape) == ("walk", (20, 3))


def test_another_folder_is_never_overwritten(table, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("x")
    with pytest.raises(UsageError, match="not a data set"):
        ingest([table], tmp_path / "mine", METRES)
    assert (tmp_path / "mine" / "thesis.tex").exists()


def test_missing_files_are_named(tmp_path):
    with pytest.raises(DataError, match="nowhere"):
        ingest([tmp_path / "nowhere.csv"], tmp_path / "set", METRES)


def test_real_sets_are_ingested_by_one_call(real_data, tmp_path):
    dataset = ingest([real_data / "pedestrians" / "eth-ucy-raw"], tmp_path / "eth")
    assert dataset.manifest.counts["rows"] == 74428
    assert dataset.manifest.counts["scenes"] == 8
    assert dataset.manifest.unit == "m"
