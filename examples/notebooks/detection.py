# %% [markdown]
# # Detection
# A map for each object that is detected. So that nothing is downloaded, this is the bundled classifier, its head read
# at every place: where a class is surest, it reports a box. It returns what detectors of torchvision return, and
# `ssdlite320_mobilenet_v3_large(weights="DEFAULT")` is asked alike.
# %%
import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, max_pool2d

from pytorch_grad_cam import HiResCAM
from pytorch_grad_cam.data.images import read_image
from pytorch_grad_cam.models.load import load_model
from pytorch_grad_cam.utils.detection_targets import detected_objects

loaded = load_model("shapes")


class Detector(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.net = loaded.model

    def forward(self, x: Tensor) -> list[dict[str, Tensor]]:
        features, head = self.net.features(x), self.net.head
        around = torch.cat([pool(features, 3, stride=1, padding=1) for pool in (avg_pool2d, max_pool2d)], dim=1)
        logits = head.classifier(head.relu(head.hidden(around.movedim(1, -1)))).movedim(-1, 1)  # (B, classes, 16, 16)
        peaks = (logits == max_pool2d(logits, 9, stride=1, padding=4)) & (logits > 0)
        scores = (logits / 8).sigmoid()  # else they would round to 1, of which there is no gradient
        found = []
        for image, places in zip(scores, peaks, strict=True):
            labels, rows, columns = places.nonzero(as_tuple=True)
            centres = 8 * torch.stack([columns, rows, columns, rows], dim=1) + 4  # a cell has 8 pixels
            boxes = (centres + torch.tensor([-24, -24, 24, 24])).float().clamp(0, 128)
            found.append({"boxes": boxes, "labels": labels, "scores": image[labels, rows, columns]})
        return found


model = Detector().eval()
picture = read_image("../images/scene_heart_arrow_circle.png")
inputs = loaded.preprocessing(picture)[None]
with torch.no_grad():
    objects = detected_objects(model(inputs)[0], least_score=0.7)
[(loaded.categories[each.category], round(each.score, 3)) for each in objects]
# %%
cam = HiResCAM(model, "net.stage4", categories=loaded.categories)
cam.explain_each(inputs, [each.target for each in objects], images=picture)
