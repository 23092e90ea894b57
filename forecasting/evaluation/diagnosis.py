"""Everything that can be said of a package on data: errors, verdict, coverage, robustness, Lie derivatives, drift."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from forecasting.errors import ForecastingError
from forecasting.evaluation._decisions import UNKNOWN
from forecasting.evaluation._motion import observe
from forecasting.evaluation.coverage import coverage
from forecasting.evaluation.drift import drift
from forecasting.evaluation.lie import lie_derivatives
from forecasting.evaluation.protocol import evaluate
from forecasting.evaluation.robustness import robustness
from forecasting.evaluation.two_sample import two_sample
from forecasting.evaluation.verdict import Settings, judge, split_for_verdict
from forecasting.packages.package import Package
from forecasting.trajectories.dataset import Dataset
from forecasting.trajectories.splits import build_split, scored_anchors
from forecasting.trajectories.windows import Int

Watch = Callable[[str, int, int], None]
SECTIONS = ("verdicts", "coverage", "two_sample", "robustness", "lie", "drift")


def diagnose(
    package: Package,
    dataset: Dataset,
    anchors: Int,
    *,
    sections: Sequence[str] = SECTIONS,
    settings: Settings | None = None,
    watch: Watch | None = None,
) -> dict[str, Any]:
    """Errors on plain and moved copies, and every section; one that fails says why and leaves the others standing.

    Args:
        package: the model; dataset: the data, in the package's unit and frame; anchors: (W, 2) windows to look at.
        sections: which of `SECTIONS`; settings: of the verdict, and the seed of all.
        watch: called with what is being done, how much of it is done, and how much there is.

    Returns:
        what `evaluate` returns, and one key for each section; see `docs/report.md`.

    Raises:
        DataError: if there is no window to score or the data are not in the package's unit, dimension and frame.
    """
    chosen = settings or Settings()
    seed = chosen.seed

    def told(what: str) -> Callable[[int, int], None] | None:
        return None if watch is None else lambda done, total: watch(what, done, total)

    def errors_told(done: int) -> None:
        if watch:
            watch("errors", done, len(anchors))

    result = evaluate(package, dataset, anchors, seed=seed, progress=errors_told)

    def verdicts() -> Any:
        test, learn = split_for_verdict(dataset, _own(package, dataset), anchors)
        return judge(package, dataset, test, learn, chosen, told("verdict"))

    make: Mapping[str, Callable[[], Any]] = {
        "verdicts": verdicts,
        "coverage": lambda: coverage(observe(dataset, step=package.window.step, seed=seed)),
        "two_sample": lambda: two_sample(observe(dataset, step=package.window.step, seed=seed), seed=seed),
        "robustness": lambda: robustness(package, dataset, anchors, seed=seed, progress=told("robustness")),
        "lie": lambda: lie_derivatives(package, dataset, anchors, progress=told("Lie derivatives")),
        "drift": lambda: drift(package, dataset, anchors, progress=told("drift")),
    }
    for name in sections:
        try:
            result[name] = make[name]()
        except ForecastingError as error:
            result[name] = {"failed": str(error)}
        except Exception as error:
            result[name] = {"failed": f"{type(error).__name__}: {error}"}
    _judge_by_data_alone(result)
    return result


def _own(package: Package, dataset: Dataset) -> dict[str, Int] | None:
    """The windows of the package's own split, if these are its own data."""
    split = package.card.get("split")
    if not split or package.card.get("data", {}).get("content") != dataset.manifest.content:
        return None
    found = build_split(split["kind"], split["arguments"]).anchors(dataset, package.window)
    return {name: scored_anchors(dataset, package.window, part) for name, part in found.items()}


def _judge_by_data_alone(result: dict[str, Any]) -> None:
    """Rows for time reversal and scale, of which no projection of the network knows: what the data alone say, as a hint."""
    rows, tests = result.get("verdicts", {}).get("groups"), result.get("two_sample")
    if rows is None or not isinstance(tests, list):
        return
    for test in tests:
        if test["group"] in ("time reversal", "scale"):
            because = f"Cannot tell from the network, which is never held to it; from the data alone: {test['because']}"
            row: dict[str, Any] = dict.fromkeys(("definition", "ratio", "moved_ratio", "error", "error_turned"))
            about = {"group": test["group"], "meaning": test["meaning"], "data": UNKNOWN, "because": because}
            rows.append({**row, **about, "model": dict.fromkeys(("residual", "low", "high")), "distance": {}})
