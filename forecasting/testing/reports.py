"""A made-up result with every part of a report, for tests of pages and viewers."""

from typing import Any

import numpy as np

LAYERS = ("relaxed.0", "relaxed.1", "relaxed.2")
SECTIONS = ("verdicts", "coverage", "two_sample", "robustness", "lie", "drift", "trace", "playback")


def example_result(hypotheses: int = 2) -> dict[str, Any]:
    """As of a model of bodies that fall along an axis: every section there, lengths in metres."""
    return {
        **example_errors(),
        "regions": _regions(),
        "verdicts": _verdicts(),
        "coverage": {
            "heading": {"R1": 0.21, "R2": 0.1, "n": 5400, "bins": [int(20 + 12 * np.cos(k / 5)) for k in range(36)]},
            "covers_yaw": True,
            "covers_space": False,
            "because": "Headings reach all 36 directions, but no scene moves upwards.",
        },
        "two_sample": [
            {
                "group": "SO(2)(z)",
                "meaning": "turned about z",
                "statistic": 0.01,
                "p_value": 0.4,
                "different": False,
                "because": "chance makes as much",
            },
            {
                "group": "O(3)",
                "meaning": "turned in space",
                "statistic": 0.3,
                "p_value": 0.001,
                "different": True,
                "because": "moved copies rise",
            },
        ],
        "robustness": _robustness(),
        "lie": {
            "end_to_end": {"rotation x": 0.2, "rotation y": 0.21, "rotation z": 1e-7, "shift x": 3e-8},
            "layers": {
                name: {"rotation x": 0.1 * k, "rotation y": 0.12 * k, "rotation z": 2e-8} for k, name in enumerate(LAYERS)
            },
        },
        "drift": {
            "rollout": {
                "time": [1.0, 2.0, 3.0],
                "error": [0.01, 0.05, None],
                "baseline": [0.1, 0.5, None],
                "positions": [9, 5, 0],
                "energy": [0.0, 0.01, 0.03],
                "energy_of_truth": [0.0, 0.0, 1e-4],
                "momentum": None,
            },
            "provided": "energy is kept where nothing rubs",
            "ended": "",
        },
        "trace": _trace(),
        "playback": [_scene("fall", 3, hypotheses), _scene("plane", 2, 1)],
    }


def example_errors(model: str = "egnn", mse: float = 0.0021, residual: float = 0.18) -> dict[str, Any]:
    """What `evaluate` gives."""

    def sums(scale: float) -> dict[str, Any]:
        steps = [scale * (1 + step) for step in range(4)]
        return {
            "mse": mse * scale,
            "ade": 0.05 * scale,
            "fde": 0.08 * scale,
            "mpjpe": 0.09 * scale,
            "mse_per_step": steps,
            "distance_per_step": [*steps[:3], None] if scale > 50 else steps,
            "windows": 100,
            "positions": 2000,
        }

    return {
        "model": model,
        "unit": "m",
        "metric_protocol": "best of K per node (marginal); K = 1 is the plain error",
        "lead_times": [0.5, 1.0, 1.5, 2.0],
        "windows": 100,
        "plain": sums(1.0),
        "copies": {
            "yaw": {"meaning": "turned about z by a uniform angle", "residual": residual, **sums(3.0)},
            "so3": {"meaning": "turned by a uniform rotation in space", "residual": residual * 2, **sums(9.0)},
            "translated": {"meaning": "shifted in a random direction", "residual": 0.0, **sums(1.0)},
        },
        "baselines": {"static": sums(90.0), "constant_velocity": sums(11.0), "mean_velocity": sums(20.0)},
        "seed": 0,
        "partition": "test",
        "data": "24b351d806429c7f8895b7413e454e6e82f92e6d15e1170034e61793526c0acf",
    }


def _regions() -> dict[str, Any]:
    def held(share: float, **about: Any) -> dict[str, Any]:
        steps = [share + 0.02, share + 0.01, share - 0.02, None]
        return {"overall": share, "per_step": steps, "joint": share - 0.015, "positions": 1000, **about}

    levels = []
    for level in (0.8, 0.95):
        types = [held(level - 0.04, type="ball"), held(level + 0.03, type="feather")]
        levels.append(held(level - 0.004, level=level, radius=0.2, types=types, worst=types[0]))
    about = {"alike": "scenes", "groups": 240, "pooled": []}
    return {"windows": 100, "positions": 2000, "nodes": 450, "levels": levels, "shape": "ball", "about": about}


def _verdicts() -> dict[str, Any]:
    rows = [
        ("O(3)", "turned about any axis, or mirrored", "broken", 0.36, (7.1, 6.2, 8.0)),
        ("C∞v(n)", "turned about n, or mirrored in a plane that holds n", "kept", 0.004, (1.003, 0.995, 1.012)),
        ("SO(2)(n)", "turned about n", "kept", 0.003, (1.001, 0.994, 1.009)),
        ("D∞h(n)", "turned about n, mirrored, or upside down", "broken", 0.31, (6.4, 5.8, 7.1)),
        ("C₄(z)", "turned by quarter turns about z", "cannot tell", 0.2, (1.04, 0.99, 1.09)),
        ("translations", "shifted in any direction", "kept", 0.0, None),
        ("time reversal", "played backwards", "cannot tell", None, None),
    ]
    because = {
        "kept": "held to it, the model errs less than 2 % more",
        "broken": "held to it, the model errs several times more",
        "cannot tell": "the 95 % interval of the ratio holds 1.02",
    }
    groups = [
        {
            "group": group,
            "meaning": meaning,
            "model": {
                "residual": away,
                "low": None if away is None else 0.9 * away,
                "high": None if away is None else 1.1 * away,
            },
            "data": data,
            "because": because[data],
            "ratio": dict(zip(("value", "low", "high"), ratio, strict=True)) if ratio else None,
            "error": 0.0021 * ratio[0] if ratio else None,
            "error_turned": 0.0022 * ratio[0] if ratio else None,
            "distance": {name: 0.3 * k if ratio else None for k, name in enumerate(LAYERS)},
        }
        for group, meaning, data, away, ratio in rows
    ]
    parts = [
        {"step": "O(3) → C∞v(n)", "c": 0.28, "gamma": 0.92, "dual": 0.01},
        {"step": "C∞v(n) → {1}", "c": 0.0, "gamma": 0.4, "dual": None},
    ]
    spectrum = {"polar direction (1,-)": 0.98, "axial direction (1,+)": 0.01, "line (2,+)": 0.01}
    return {
        "groups": groups,
        "axis": {"vector": [0.3, -0.5, 0.81], "degrees": 0.4, "share": 0.99, "of": "gravity-like: one direction"},
        "errors": {"full": 0.0021, "strict": 0.02},
        "layers": [{"layer": name, "parts": parts, "size": 0.28, "spectrum": spectrum} for name in LAYERS],
        "broken_by": "relaxed.2",
        "seconds": 31.0,
        "reading": "The data keep C∞v(n), SO(2)(n). They break O(3). The axis n is (0.300, -0.500, 0.810), known to about 0.4°.",
    }


def _robustness() -> dict[str, Any]:
    angle = list(range(0, 361, 30))
    tilt = [float(np.sin(np.deg2rad(value) / 2) ** 2) for value in angle]
    shift = [0.0, 0.1, 1.0, 10.0, 100.0, 1000.0]
    return {
        "curves": [
            {
                "name": "rotation about x",
                "unit": "°",
                "x": angle,
                "error": [0.002 + 0.1 * t for t in tilt],
                "residual": tilt,
                "baseline": 0.023,
            },
            {
                "name": "rotation about z (up)",
                "unit": "°",
                "x": angle,
                "error": [0.002] * 13,
                "residual": [1e-7] * 13,
                "baseline": 0.023,
            },
            {"name": "translation", "unit": "m", "x": shift, "error": [0.002] * 6, "residual": [0.0] * 6, "baseline": 0.023},
            {
                "name": "reflection",
                "unit": "",
                "x": ["xy", "xz", "yz"],
                "error": [0.1, 0.002, 0.002],
                "residual": [0.4, 1e-7, 1e-7],
                "baseline": 0.02,
            },
            {
                "name": "noise",
                "unit": "m",
                "x": [0.0, 0.01, 0.1],
                "error": [0.002, 0.004, 0.2],
                "residual": None,
                "baseline": None,
            },
        ],
        "tables": [
            {
                "name": "per node type",
                "columns": ["type", "MSE", "residual"],
                "rows": [["body", 0.0021, 0.18], ["star", None, 0.2]],
            }
        ],
    }


def _trace() -> dict[str, Any]:
    steps = list(range(0, 1000, 100))
    levels = {
        f"{kind}/{layer}/{part}": [steps, [scale * float(np.exp(-step / 300)) / part for step in steps]]
        for kind, scale in (("c", 0.3), ("gamma", 1.0), ("dual", 0.01))
        for layer in LAYERS
        for part in (1, 2)
    }
    loss = [0.1 * float(np.exp(-step / 200)) + 0.002 for step in steps]
    series = {"train loss": loss, "validation loss": [*(1.2 * value for value in loss[:-1]), None]}
    return {"epochs": [step / 100 for step in steps], "series": series, "levels": levels}


def _scene(name: str, dim: int, hypotheses: int) -> dict[str, Any]:
    times = [round(-1 + 0.5 * step, 3) for step in range(7)]
    nodes = 3

    def place(node: int, time: float, off: float) -> list[float]:
        return [node + 0.4 * time, 0.5 * node + 0.1 * node * time + off, 0.0 if dim == 2 else 2 - 0.3 * time**2 + off]

    def frames(of: list[float], off: float = 0.0) -> list[Any]:
        return [[place(node, time, off * max(time, 0)) for node in range(nodes)] for time in of]

    def forecasts(off: float) -> list[Any]:
        return [frames(times[3:], off + 0.1 * k) for k in range(hypotheses)]

    history, truth = frames(times[:3]), frames(times[3:])
    history[0][1] = truth[-1][2] = None
    return {
        "scene": name,
        "unit": "m",
        "up": "+z" if dim == 3 else "none",
        "dim": dim,
        "anchor_time": 12.5,
        "times": times,
        "history": history,
        "truth": truth,
        "forecasts": forecasts(0.05),
        "weights": [1 / hypotheses] * hypotheses,
        "edges": [[0, 1], [1, 2]],
        "node_types": ["body"] * nodes,
        "nodes": nodes,
        "axis": [0.0, 0.0, 1.0],
        "turned": [
            {"degrees": degrees, "forecasts": forecasts(0.05 + degrees / 360), "residual": degrees / 1000}
            for degrees in (0.0, 90.0, 180.0, 270.0)
        ],
    }
