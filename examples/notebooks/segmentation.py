# %% [markdown]
# # Segmentation
# Any dense output will do: a class for every pixel. So that nothing is downloaded, this is the bundled classifier, its
# head read at every place instead of once; `lraspp_mobilenet_v3_large(weights="DEFAULT")` is asked alike.
# %%
import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, interpolate, max_pool2d

from pytorch_grad_cam import HiResCAM
from pytorch_grad_cam.data.images import read_image
from pytorch_grad_cam.models.load import load_model
from pytorch_grad_cam.utils.segmentation_targets import SegmentationPointTarget, SemanticSegmentationTarget

loaded = load_model("shapes")


class EveryPlace(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.net = loaded.model

    def forward(self, x: Tensor) -> Tensor:
        features, head = self.net.features(x), self.net.head
        around = torch.cat([pool(features, 3, stride=1, padding=1) for pool in (avg_pool2d, max_pool2d)], dim=1)
        scores = head.classifier(head.relu(head.hidden(around.movedim(1, -1)))).movedim(-1, 1)
        return interpolate(scores, size=x.shape[2:], mode="bilinear")  # (B, classes, H, W)


model = EveryPlace().eval()
picture = read_image("../images/scene_crescent_cross.png")
inputs = loaded.preprocessing(picture)[None]
cam = HiResCAM(model, "net.stage3", categories=loaded.categories)
# %% [markdown]
# What makes the network see a crescent where it sees one:
# %%
cam.explain(inputs, "crescent", images=picture)
# %% [markdown]
# Only in the upper third of the picture, and what makes one point of the cross a cross:
# %%
upper = torch.arange(128)[:, None].expand(128, 128) < 43
cam.explain(inputs, SemanticSegmentationTarget(loaded.categories.index("crescent"), upper), images=picture)
# %%
cam.explain(inputs, SegmentationPointTarget((62, 94)), images=picture)
