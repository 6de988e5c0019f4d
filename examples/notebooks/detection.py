# %% [markdown]
# # Detection
# A map for each object that is detected. The network has random weights here, so that nothing is downloaded: it finds
# nonsense, and the maps show why it does.
# %%
import torch
from torchvision.models.detection import ssdlite320_mobilenet_v3_large

from pytorch_grad_cam import HiResCAM
from pytorch_grad_cam.data.images import read_image
from pytorch_grad_cam.utils.detection_targets import detected_objects

torch.manual_seed(0)
model = ssdlite320_mobilenet_v3_large(weights=None, weights_backbone=None).eval()
picture = read_image("../images/scene_heart_arrow_circle.png")
inputs = torch.from_numpy(picture).permute(2, 0, 1)[None] / 255  # detectors of torchvision normalise themselves
with torch.no_grad():
    objects = detected_objects(model(inputs)[0], least_score=0.0, at_most=3)
[(each.category, round(each.score, 3)) for each in objects]
# %%
found = HiResCAM(model, "backbone.features.0").explain_each(inputs, [each.target for each in objects])
found.of_pictures(picture)
