"""Which part of a signal decides? A matched filter finds a beat in noise, and the map shows where."""

from pathlib import Path

import torch
from torch import nn

from pytorch_grad_cam import GradCAM
from pytorch_grad_cam.data.images import write_image
from pytorch_grad_cam.utils.signals import show_cam_on_signal

RATE = 100  # samples per second
BEAT = torch.hann_window(15) * torch.linspace(-1, 1, 15).sign()


def network() -> nn.Module:
    """(B, 1, T) -> (B, 2): no beat, a beat."""
    model = nn.Sequential(nn.Conv1d(1, 2, 15, padding=7), nn.ReLU(), nn.AdaptiveMaxPool1d(1), nn.Flatten())
    model[0].weight.data = torch.stack([torch.zeros(15), BEAT])[:, None]
    model[0].bias.data = torch.tensor([1.0, -0.5])
    return model.eval()


def main(output: Path = Path("output/signal_map.png"), at: int = 230) -> int:
    signal = 0.1 * torch.randn(400, generator=torch.Generator().manual_seed(0))
    signal[at - 7 : at + 8] += BEAT

    heatmap = GradCAM(network())(signal[None, None], 1)[0]  # (T,), float32 in [0, 1]

    write_image(output, show_cam_on_signal(signal, heatmap, names=["with one beat"], rate=RATE))
    print(f"{output}: the beat was found at {heatmap.argmax() / RATE:.2f} s")
    return int(heatmap.argmax())


if __name__ == "__main__":
    main()
