"""A model built from the plain arguments of a package, and compared with the weights it is to hold."""

from collections.abc import Mapping
from typing import Any

from forecasting.errors import ForecastingError, PackageError
from forecasting.graphs.features import GraphSchema
from forecasting.models.base import Forecaster, build_model
from forecasting.packages._budget import Budget
from forecasting.packages._weights import TensorSpec, specs_of


def built(name: str, schema: GraphSchema, arguments: Mapping[str, Any], specs: Mapping[str, TensorSpec]) -> Forecaster:
    """The untrained model, whose tensors are those of the weights.

    Args:
        name, arguments: of the model; schema: of its inputs; specs: name -> shape and type of the weights.

    Raises:
        PackageError: if the model is unknown, cannot be built, would be much larger than its weights, or has others.
    """
    try:
        with Budget(specs):
            model = build_model(name, schema, arguments)
    except ForecastingError as error:
        raise PackageError(f"the package cannot be built here: {error}") from None
    except Exception as error:  # the arguments are a stranger's, and what a constructor does with them is not ours to foresee
        raise PackageError(f"the package cannot be built here: model '{name}': {type(error).__name__}: {_line(error)}") from None
    expected = specs_of(model.state_dict())
    different = sorted(each for each in expected.keys() | specs.keys() if not _fits(expected.get(each), specs.get(each)))
    if different:
        first = different[0]
        raise PackageError(
            f"the package's weights do not fit model '{name}': '{first:.80}' {_said(specs.get(first))}, "
            f"expected {_said(expected.get(first))} ({len(different)} differ)"
        )
    return model


def _fits(expected: TensorSpec | None, found: TensorSpec | None) -> bool:
    if expected is None or found is None or expected.shape != found.shape:
        return False
    return expected.dtype == found.dtype or (expected.dtype.is_floating_point and found.dtype.is_floating_point)


def _said(spec: TensorSpec | None) -> str:
    return "is not there" if spec is None else f"has shape {spec.shape} of {str(spec.dtype).removeprefix('torch.')}"


def _line(error: Exception) -> str:
    return (str(error).splitlines() or [""])[0][:200]
