"""When `forecast serve` does not start."""

import socket

import pytest

from forecasting.cli.main import main


@pytest.mark.parametrize("drain", ["-1", "inf", "nan"])
def test_a_drain_that_is_none(folders, capsys, drain):
    assert main(["serve", str(folders["space"]), f"--drain={drain}"]) == 2
    assert "--drain" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["nowhere"], 4, "not a model package"),
        (["--host", "0.0.0.0"], 2, "FORECASTING_API_KEY"),
        (["--max-nodes", "0"], 2, "limit on nodes"),
    ],
)
def test_a_service_that_cannot_start(folders, capsys, monkeypatch, words, code, message):
    monkeypatch.delenv("FORECASTING_API_KEY", raising=False)
    packages = [] if words == ["nowhere"] else [str(folders["space"])]
    assert main(["serve", *packages, *words]) == code
    assert message in capsys.readouterr().err


def test_a_port_that_is_taken(folders, capsys):
    with socket.create_server(("127.0.0.1", 0)) as other:
        assert main(["serve", str(folders["space"]), "--port", str(other.getsockname()[1])]) == 2
    assert "--port" in capsys.readouterr().err
