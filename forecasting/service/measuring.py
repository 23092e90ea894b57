"""Jobs that also measure residuals, with the work of others between any two draws."""

from collections.abc import Iterator
from dataclasses import dataclass

from forecasting.errors import ForecastingError
from forecasting.service.jobs import Job
from forecasting.service.problems import Problem
from forecasting.service.residuals import measured_steps
from forecasting.service.shelf import Served


@dataclass(eq=False)
class MeasuringJob(Job):
    """A job with residuals; forecasts, where they are asked for, come first."""

    def steps(self, served: Served) -> Iterator[None]:
        """Work, yielding behind every micro-batch and every draw."""
        plain = Job(self.scenes, self.anchors, self.forecast, self.interval, batches=self.batches)
        yield from plain.steps(served)
        self.problem = plain.problem
        if self.problem or self.residual is None:
            return
        try:
            for found in measured_steps(served, self.scenes, self.anchors, self.residual):
                if found is not None:
                    self.residuals.append(found)
                yield
        except ForecastingError as error:
            self.problem = Problem.of(error)
