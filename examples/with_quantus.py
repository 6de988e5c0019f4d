"""Maps of ours judged by a metric of Quantus, which asks for them itself."""

import numpy as np
import quantus
import torch

from pytorch_grad_cam.integrations.quantus import explain_func


def sensitivity(model: torch.nn.Module, images: torch.Tensor, classes: torch.Tensor) -> list[float]:
    metric = quantus.MaxSensitivity(nr_samples=3, lower_bound=0.1, disable_warnings=True)
    batch = {"x_batch": images.numpy(), "y_batch": np.asarray(classes)}
    chosen = {"method": "layercam", "target_layers": None, "relu": True}
    return metric(model=model, **batch, explain_func=explain_func, explain_func_kwargs=chosen)
