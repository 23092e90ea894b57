"""Whose turn it is: small requests do not wait behind large ones."""

import asyncio
import json

import pytest

from forecasting.service.asking import diagnose_asked, predict_asked
from forecasting.service.batching import Worker
from forecasting.service.limits import Limits
from forecasting.service.writing import JSON, diagnosed_json, predicted_json

DRAWS = 4


def predicted(shelf, **wish):
    return predict_asked(json.dumps(wish).encode(), JSON, {}, shelf, Limits())


@pytest.mark.parametrize("route", ["diagnose", "predict"])
def test_a_small_request_comes_between_the_draws_of_a_residual(shelf, scene_of, route):
    scene = scene_of()
    if route == "predict":
        asked, written = predicted(shelf, scenes=[scene], residual={"groups": ["SO(3)"], "draws": DRAWS}), predicted_json
    else:
        wish = {"scenes": [scene], "groups": ["SO(3)"], "draws": DRAWS}
        asked, written = diagnose_asked(json.dumps(wish).encode(), shelf, Limits()), diagnosed_json

    async def together():
        worker = Worker(asked.served, 8)
        large = worker.submit(asked.job, asked.size, lambda job: written(job, asked.served))
        while not worker.tally.batches:
            await asyncio.sleep(0.001)
        small = predicted(shelf, scenes=[scene])
        answer = await worker.submit(small.job, small.size, lambda job: predicted_json(job, small.served))
        assert json.loads(answer)["forecasts"]
        assert not asked.job.residuals
        assert len(json.loads(await large)["residuals"]) == 1
        worker.stop()

    asyncio.run(together())


def test_a_residual_takes_a_step_for_every_draw(shelf, scene_of):
    wish = {"groups": ["SO(3)", "translations"], "draws": DRAWS}
    asked = predicted(shelf, scenes=[scene_of()], residual=wish)
    assert len(list(asked.job.steps(asked.served))) == 1 + 2 * (DRAWS + 1)
    assert [one["draws"] for one in asked.job.residuals] == [DRAWS, DRAWS]
