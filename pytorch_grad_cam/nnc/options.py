"""The options of the four plug-ins of Neural Network Console. Importing this costs nothing."""

from __future__ import annotations

from dataclasses import dataclass

from pytorch_grad_cam.runs.network_options import NetworkOptions


@dataclass(frozen=True)
class ConsoleCommand:
    """One of the plug-ins."""

    name: str  # on the command line
    summary: str  # what it does, in one line
    smooth: bool  # whether it takes gradients of noisy inputs, instead of Grad-CAM
    batch: bool  # whether it works on a dataset CSV, instead of one picture


CONSOLE_COMMANDS = {
    command.name: command
    for command in (
        ConsoleCommand("gradcam", "Grad-CAM of one picture", smooth=False, batch=False),
        ConsoleCommand("gradcam-batch", "Grad-CAM of every row of a dataset CSV", smooth=False, batch=True),
        ConsoleCommand("smoothgrad", "SmoothGrad of one picture", smooth=True, batch=False),
        ConsoleCommand("smoothgrad-batch", "SmoothGrad of every row of a dataset CSV", smooth=True, batch=True),
    )
}


@dataclass(frozen=True)
class NncOptions(NetworkOptions):
    """What a plug-in is to do; `cli.nnc.options` says what each option means. Some belong to a part of them only."""

    command: str
    output: str
    target_layers: list[str] | None
    output_variable: str | None
    score: str
    style: str
    batch_size: int | None = None
    image: str | None = None
    class_index: int = 0
    input: str | None = None
    input_variable: str = "x"
    label_variable: str = "y"
    contains_crop: bool = False
    noise_level: float = 0.15
    num_samples: int = 25
    layer_index: int = 0
    seed: int = 0

    @property
    def smooth(self) -> bool:
        """Whether gradients of noisy inputs are wanted, instead of Grad-CAM."""
        return CONSOLE_COMMANDS[self.command].smooth

    @property
    def batch(self) -> bool:
        """Whether a dataset CSV is worked on, instead of one picture."""
        return CONSOLE_COMMANDS[self.command].batch
