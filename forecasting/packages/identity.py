"""Whether two packages forecast the same, whatever is said of them."""

import hashlib

from forecasting.files import text_hash
from forecasting.packages._plain import to_plain
from forecasting.packages.package import Package

_SAID = ("card", "symmetry", "calibration")


def forecaster_digest(package: Package) -> str:
    """SHA-256 of the weights and of all that is done with them; a new calibration or note does not change it."""
    done = {name: value for name, value in to_plain(package).items() if name not in _SAID}
    found = hashlib.sha256(text_hash(done).encode())
    for name, value in sorted(package.weights.items()):
        plain = value.detach().cpu().contiguous()
        found.update(f"{name} {plain.dtype} {tuple(plain.shape)}".encode())
        found.update(plain.numpy().tobytes())
    return found.hexdigest()
