"""Lightning's part in a run of several processes."""

import contextlib

import lightning
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.strategies import DDPStrategy, ParallelStrategy

from forecasting.training.companions import Companions
from forecasting.training.module import TrainingModule
from forecasting.training.ranks import Alone, Together


class JoinedGradients(DDPStrategy):
    """Processes with one device each that hold the same weights; the module joins the gradients itself, see `Together`."""

    def configure_ddp(self) -> None:
        """Leave the module as it is: nothing is to be exchanged while gradients are computed."""


class SameStart(Callback):
    """Every process learns the same, from the weights of the first one.

    Args:
        about: what is learned.
    """

    def __init__(self, about: str) -> None:
        self.about = about

    def on_train_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Compare and share."""
        if isinstance(pl_module, TrainingModule):
            pl_module.ranks.agree(self.about)
            pl_module.ranks.share(pl_module.state_dict().values())


def ranks_of(trainer: lightning.Trainer) -> Alone:
    """The processes that a trainer will run in."""
    if trainer.world_size == 1:
        return Alone()
    return Together(trainer.global_rank, trainer.world_size, trainer.strategy.root_device)


def companions_of(trainer: lightning.Trainer, devices: int, nodes: int) -> contextlib.AbstractContextManager[Companions | None]:
    """The other processes on this machine, unless a launcher such as torchrun has started them."""
    strategy = trainer.strategy
    place = strategy.cluster_environment if isinstance(strategy, ParallelStrategy) else None
    if place is None or place.creates_processes_externally:
        return contextlib.nullcontext()
    return Companions(devices, nodes, place.node_rank(), place.main_address, place.main_port)
