"""A package in words."""

from collections.abc import Mapping
from typing import Any


def sentences(about: Mapping[str, Any]) -> list[str]:
    """What `packages.description.describe` found, line by line.

    Args:
        about: see there.
    """
    arguments = ", ".join(f"{name}={value}" for name, value in about["arguments"].items() if value not in (None, []))
    graph = about["graph"]
    edges = ", ".join(f"{name}={value}" for name, value in graph["arguments"].items())
    lines = [
        *([f"{about['name']}{': ' + about['note'] if about['note'] else ''}"] if about["name"] else []),
        f"model: {about['model']} ({arguments or 'no arguments'}), {about['parameters']:,} numbers",
        f"graph: {graph['name']}{f' ({edges})' if edges else ''}",
        _window(about["window"]),
        f"inputs: {_inputs(about['inputs'])}",
        f"unit: {about['unit']}, up {about['up']}, {about['handedness']}-handed",
        *_training(about),
        _symmetry(about["symmetry"]),
        "calibration: none; make one with `forecast calibrate`"
        if about["calibration"] is None
        else _calibration(about["calibration"]),
    ]
    if about["digests"]:
        lines.append(f"digest: {about['digests']['content']} (weights {about['digests']['weights']})")
    return lines


def _window(window: Mapping[str, Any]) -> str:
    seen, ahead = (f"{window[name]:.4g} s" for name in ("seconds_seen", "seconds_ahead"))
    clip = f"{1 / window['dt']:.6g} frames/s"
    return (
        f"window: {window['history']} frames over {seen} seen, {len(window['horizon'])} steps to {ahead} ahead; "
        f"for recordings of {clip}, of which it takes every {_nth(window['step'])}"
    )


def _nth(step: int) -> str:
    return {1: "frame", 2: "second frame", 3: "third frame"}.get(step, f"{step}th frame")


def _inputs(inputs: Mapping[str, Any]) -> str:
    types, parts = inputs["node_types"], [f"points in {inputs['dim']} dimensions"]
    if len(types) > 1:
        parts.append(f"{len(types)} types ({', '.join(types[:6])}{' …' if len(types) > 6 else ''})")
    elif types:
        parts.append(f"of type {types[0]}")
    parts += [f"field {name} ({about['irreps']}, {about['unit'] or 'no unit'})" for name, about in inputs["fields"].items()]
    parts += [f"declared {name} = {vector}" for name, vector in inputs["declared"].items()]
    return "; ".join(parts)


def _training(about: Mapping[str, Any]) -> list[str]:
    data, lines = about["data"] or {}, []
    if data:
        windows = ", ".join(f"{name} {count}" for name, count in (data.get("windows") or {}).items())
        lines.append(f"data: {data.get('folder', '?')}, content {str(data.get('content', '?'))[:16]}…; windows: {windows or '?'}")
    if about["epochs"] is not None:
        validation = "" if about["validation"] is None else f", validation loss {about['validation']:.4g}"
        lines.append(
            f"training: {about['epochs']:.4g} epochs, seed {about['seed']}{validation}, program {about['program_version']}"
        )
    return lines


def _symmetry(card: Mapping[str, Any] | None) -> str:
    if card is None:
        return "symmetry: not diagnosed; `forecast diagnose PACKAGE DATA --keep` does"
    found = {
        answer: [row["group"] for row in card["groups"] if row["data"] == answer] for answer in ("kept", "broken", "cannot tell")
    }
    said = "; ".join(f"{answer}: {', '.join(groups)}" for answer, groups in found.items() if groups)
    return f"symmetry: {card.get('reading') or said}"


def _calibration(card: Mapping[str, Any]) -> str:
    known = ", ".join(f"{name}={value}" for name, value in card.items() if isinstance(value, str | int | float))
    return f"calibration: {known or 'yes'}"
