"""What the documents say: commands that the program takes, and a row and an example for every format."""

import re
import shlex
from pathlib import Path

import pytest

from forecasting.cli.configuration import compose
from forecasting.cli.main import build_parser, main
from forecasting.trajectories.formats import FORMATS, Format

ROOT = Path(__file__).parents[1]
DOCUMENTS = sorted([ROOT / "README.md", *(ROOT / "docs").glob("*.md")])
BLOCK = re.compile(r"^```([^\n]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def commands(path: Path) -> list[list[str]]:
    """The words of every `forecast` command in the code blocks of a document, continued lines joined, comments left out."""
    blocks = [text.replace("\\\n", " ") for kind, text in BLOCK.findall(path.read_text(encoding="utf-8")) if not kind]
    lines = [line for text in blocks for line in text.splitlines() if line.startswith("forecast ")]
    return [shlex.split(line, comments=True)[1:] for line in lines]


COMMANDS = [pytest.param(words, id=f"{path.name}: {shlex.join(words)}") for path in DOCUMENTS for words in commands(path)]


@pytest.mark.parametrize("words", COMMANDS)
def test_a_command_is_one_that_the_program_takes(words: list[str]) -> None:
    options = build_parser().parse_args(words)
    if options.verb == "train" and not options.resume:
        compose(options.overrides)


def test_commands_are_found() -> None:
    assert len(COMMANDS) > 40


def test_links_lead_somewhere() -> None:
    for path in DOCUMENTS:
        for target in re.findall(r"\]\((?!https?:)([^)#]+)", path.read_text(encoding="utf-8")):
            assert (path.parent / target).exists(), f"{path.name} links to {target}"


FORMATS_PAGE = (ROOT / "docs/formats.md").read_text(encoding="utf-8")


def rows(heading: str) -> dict[str, list[str]]:
    """Name of a format -> the cells of its row in the first table under a heading."""
    section = FORMATS_PAGE.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in section.splitlines() if line.startswith("| `")]
    return {name: row for row in cells[1:] for name in re.findall(r"`(\w+)`", row[0])}


def is_written(reader: Format) -> bool:
    return reader.can_write or type(reader).write_forecasts is not Format.write_forecasts


def test_every_format_has_a_row_in_both_tables() -> None:
    for heading in ("What is read", "Unit, axes, clock"):
        assert sorted(rows(heading)) == sorted(FORMATS.names())


@pytest.mark.parametrize("name", FORMATS.names())
def test_a_row_says_whether_the_format_is_written(name: str) -> None:
    reader, (_, files, *_, written) = FORMATS[name], rows("What is read")[name]
    assert written.split()[0] == ("yes" if reader.can_write else "forecasts" if is_written(reader) else "no")
    assert set(re.findall(r"`(\.[\w.]+)`", files)) <= {*reader.suffixes, ".asf"}


def test_examples_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    files = {kind.removeprefix("text "): text for kind, text in BLOCK.findall(FORMATS_PAGE) if kind.startswith("text ")}
    for name, text in files.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    inspected = [words for words in commands(ROOT / "docs/formats.md") if words[0] == "inspect" and words[1] in files]
    for words in inspected:
        assert main(words) == 0, f"{shlex.join(words)}: {capsys.readouterr().err}"
    beside = {"35.asf", "match_away.csv"}
    assert {words[1] for words in inspected} == set(files) - beside
