"""A client of the service: trajectories in, forecasts out."""

import json
import random
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import count
from typing import Any

import httpx

from forecasting.errors import DataError, ForecastingError, UsageError
from forecasting.inference.forecast import Forecast
from forecasting.service.carrying import Carrier, JsonCarrier, TableCarrier
from forecasting.service.returning import with_json_regions, with_table_regions
from forecasting.service.scenes import plain_scene
from forecasting.service.writing import JSON
from forecasting.trajectories.trajectory import Trajectory

CARRIERS: dict[str, type[Carrier]] = {"json": JsonCarrier, "arrow": TableCarrier}
REGIONS = {"json": with_json_regions, "arrow": with_table_regions}
BUSY = (429, 503)
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 10.0
"""[s] between tries, each twice the one before."""


class Client:
    """Asks a service for forecasts; use it as a context manager, or close it.

    Args:
        url: of the service, for instance ``http://127.0.0.1:8000``; key: where it needs one.
        patience: [s] for which a busy service is asked again (status 429 and 503); timeout: [s] of one try.
        body: ``json``, or ``arrow``, which is faster for many scenes of one unit, frame and set of fields.
        transport: of httpx, where it is to be another.

    Raises:
        UsageError: if there is no such kind of body.
    """

    def __init__(
        self,
        url: str,
        key: str = "",
        *,
        patience: float = 60.0,
        timeout: float = 60.0,
        body: str = "json",
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        if body not in CARRIERS:
            raise UsageError(f"a body is json or arrow, found '{body}'")
        headers = {"authorization": f"Bearer {key}"} if key else {}
        self.patience, self._carrier, self._with_regions = patience, CARRIERS[body](), REGIONS[body]
        self._http = httpx.Client(base_url=url, headers=headers, timeout=timeout, transport=transport)

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def models(self) -> list[dict[str, Any]]:
        """The packages that are served, as `GET /models` says them."""
        found: list[dict[str, Any]] = self._ask("GET", "/models").json()["models"]
        return found

    def predict(
        self,
        scenes: Trajectory | Iterable[Trajectory],
        *,
        package: str | None = None,
        every: int | None = None,
        level: float | None = None,
        joint: bool = False,
    ) -> list[Forecast]:
        """Forecast scenes from their last frames, or from every n-th frame that has a whole history.

        Args:
            scenes: one or several; package: name of the package, by default the first that is served; every: n.
            level: of regions around the forecasts, for which the package is calibrated (`models` says it), None for none.
            joint: whether a region holds the whole way of a node at once.

        Returns:
            the forecasts in the order of the scenes, and of their anchors.

        Raises:
            DataError: if the service cannot use the scenes, or has no such regions; says why.
            UsageError: if it cannot be reached, wants another key, or takes less at a time.
            ForecastingError: if it stays busy, or fails.
        """
        several = _several(scenes)
        sent = _told_apart(several)
        body, headers, query = self._carrier.pack(sent, package, every)
        if level is not None:
            query = {**query, "level": repr(level), "joint": str(joint).lower()}
        answer = self._ask("POST", "/predict", content=body, headers=headers, params=query).content
        found = self._carrier.unpack(answer, sent)
        if level is not None:
            found = self._with_regions(answer, found, level)
        names = {one.scene: two.scene for one, two in zip(sent, several, strict=True)}
        return [one if names[one.scene] == one.scene else replace(one, scene=names[one.scene]) for one in found]

    def diagnose(
        self,
        scenes: Trajectory | Iterable[Trajectory],
        *,
        package: str | None = None,
        every: int | None = None,
        groups: Sequence[str] | None = None,
        draws: int | None = None,
    ) -> dict[str, Any]:
        """How far the model is from moving along with scenes, as `POST /diagnose` says it: `residuals` and `symmetry`.

        Args:
            scenes, package, every: as for `predict`; groups: by name, None for the usual ones.
            draws: elements of each, None for the usual number.

        Raises:
            DataError, UsageError, ForecastingError: as `predict`.
        """
        wish = {"package": package, "every": every, "groups": None if groups is None else list(groups), "draws": draws}
        wish = {name: value for name, value in wish.items() if value is not None}
        body = json.dumps({"scenes": [plain_scene(scene, None) for scene in _several(scenes)], **wish})
        found: dict[str, Any] = self._ask("POST", "/diagnose", content=body, headers={"content-type": JSON}).json()
        return found

    def _ask(self, method: str, path: str, **what: Any) -> httpx.Response:
        until, pause = time.monotonic() + self.patience, FIRST_PAUSE
        while True:
            try:
                answer = self._http.request(method, path, **what)
            except httpx.TransportError as error:
                raise UsageError(f"{self._http.base_url}: the service does not answer ({error}); is it running?") from None
            if answer.status_code not in BUSY or time.monotonic() >= until:
                return _good(answer)
            told = answer.headers.get("retry-after", "")
            wait = min(max(pause, float(told) if told.isdigit() else 0.0), LONGEST_PAUSE)
            time.sleep(min(wait * random.uniform(0.5, 1.0), max(until - time.monotonic(), 0.0)))
            pause *= 2


def _several(scenes: Trajectory | Iterable[Trajectory]) -> list[Trajectory]:
    return [scenes] if isinstance(scenes, Trajectory) else list(scenes)


def _told_apart(scenes: Sequence[Trajectory]) -> list[Trajectory]:
    """The scenes, each with a name of its own: a number behind those that are taken."""
    known, taken, found = {scene.scene for scene in scenes}, set[str](), []
    for scene in scenes:
        name = scene.scene
        if name in taken:
            name = next(one for number in count(2) if (one := f"{scene.scene} ({number})") not in taken | known)
        taken.add(name)
        found.append(scene if name == scene.scene else replace(scene, scene=name))
    return found


def _good(answer: httpx.Response) -> httpx.Response:
    if answer.is_success:
        return answer
    try:
        problem: Any = answer.json()
    except ValueError:
        problem = {}
    known: Mapping[str, Any] = problem if isinstance(problem, dict) else {}
    text = str(known.get("detail") or f"status {answer.status_code}")
    kinds: Sequence[tuple[type[ForecastingError], tuple[int, ...]]] = (
        (DataError, (400, 422)),
        (UsageError, (401, 404, 405, 413, 415)),
    )
    kind = next((kind for kind, statuses in kinds if answer.status_code in statuses), ForecastingError)
    raise kind(f"{answer.request.url}: {text} (request {known.get('request_id', '?')})")
