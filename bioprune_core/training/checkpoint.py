"""One file with all that a training needs to go on: weights, optimiser state, figures so far.

A single safetensors file, replaced by one rename: whenever a process dies, the previous or the new checkpoint
is there whole. No random state is stored because there is none: masks, batch order and dropout are functions
of the seed and the step.
"""

from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open

from bioprune_core.errors import StorageError
from bioprune_core.models.saved import save_tensors
from bioprune_core.training.history import CHECKPOINT, Curve

__all__ = ["CheckpointFile"]

_VALIDATION_STEP, _VALIDATION_LOSS = "validation.step", "validation.loss"
_SECONDS = "seconds"


class CheckpointFile:
    """The checkpoint of one training.

    Args:
        directory: The training's own directory.
    """

    def __init__(self, directory: Path) -> None:
        self.path = directory / CHECKPOINT

    def save(
        self,
        network: torch.nn.Module,
        optimiser: torch.optim.Optimizer,
        curve: Curve,
        validation: list[tuple[int, float]],
        seconds: float,
    ) -> None:
        """Replace the checkpoint by the present state; the step is the length of the curve.

        Args:
            network: Its weights.
            optimiser: Its state.
            curve: Figures of the steps done.
            validation: Steps done and validation loss.
            seconds: That the steps done took.

        Raises:
            StorageError: The disk is full or not writable; the previous checkpoint is still there.
        """
        tensors = {f"network.{name}": tensor for name, tensor in _network_tensors(network).items()}
        for name, parameter in network.named_parameters():
            for key, value in optimiser.state.get(parameter, {}).items():
                tensors[f"optimiser.{key}.{name}"] = value
        for key, column in curve.columns().items():
            tensors[f"curve.{key}"] = torch.from_numpy(column)
        tensors[_VALIDATION_STEP] = torch.tensor([step for step, _ in validation], dtype=torch.int64)
        tensors[_VALIDATION_LOSS] = torch.tensor([loss for _, loss in validation], dtype=torch.float64)
        tensors[_SECONDS] = torch.tensor(seconds, dtype=torch.float64)
        on_cpu = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
        save_tensors(on_cpu, self.path)

    def restore(
        self, network: torch.nn.Module, optimiser: torch.optim.Optimizer
    ) -> tuple[Curve, list[tuple[int, float]], float] | None:
        """Copy the stored state into a network and its fresh optimiser; None where there is no checkpoint.

        Returns:
            Curve, validation and seconds as saved; no seconds where an older version saved none.

        Raises:
            StorageError: The file is damaged or is another network's.
        """
        if not self.path.is_file():
            return None
        try:
            with safe_open(self.path, framework="pt") as stored:
                names = set(stored.keys())
                with torch.no_grad():
                    for name, tensor in _network_tensors(network).items():
                        tensor.copy_(stored.get_tensor(f"network.{name}"))
                for name, parameter in network.named_parameters():
                    state = {
                        key: stored.get_tensor(f"optimiser.{key}.{name}")
                        for key in ("step", "exp_avg", "exp_avg_sq")
                        if f"optimiser.{key}.{name}" in names
                    }
                    if state:
                        optimiser.state[parameter] = _on_device(state, parameter)
                columns = {
                    name.removeprefix("curve."): stored.get_tensor(name).numpy()
                    for name in names
                    if name.startswith("curve.")
                }
                validation = zip(
                    stored.get_tensor(_VALIDATION_STEP).tolist(),
                    stored.get_tensor(_VALIDATION_LOSS).tolist(),
                    strict=True,
                )
                seconds = stored.get_tensor(_SECONDS).item() if _SECONDS in names else 0.0
                return Curve.from_columns(columns), list(validation), seconds
        except (OSError, SafetensorError, RuntimeError, KeyError) as error:
            raise StorageError(
                f"Could not resume from {self.path}: it is damaged or belongs to another network. "
                "Remove it to train from the start.",
                detail=str(error),
            ) from error

    def remove(self) -> None:
        """Delete the checkpoint, as when the training is done."""
        self.path.unlink(missing_ok=True)


def _network_tensors(network: torch.nn.Module) -> dict[str, torch.Tensor]:
    """Parameters, tied ones once, and buffers."""
    return {**dict(network.named_parameters()), **dict(network.named_buffers())}


def _on_device(state: dict[str, torch.Tensor], parameter: torch.Tensor) -> dict[str, torch.Tensor]:
    # The fused optimiser wants its float32 step counter on the device of the parameter.
    return {key: value.to(parameter.device) for key, value in state.items()}
