"""A volume and a network of MONAI: the map is a volume, too, and knows where it lies."""

from monai.data import MetaTensor
from monai.networks.nets import DenseNet121

from pytorch_grad_cam import GradCAM


def explain(model: DenseNet121, volume: MetaTensor, category: int) -> MetaTensor:
    found = GradCAM(model).explain(volume[None], category)  # (1, C, D, H, W)
    return MetaTensor(found.maps, meta=volume.meta)  # (1, D, H, W): monai.transforms.SaveImage writes it in its place
