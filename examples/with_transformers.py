"""Why a pipeline of transformers says what it says of a picture, by the name of its label."""

import numpy as np
from PIL import Image
from transformers import ImageClassificationPipeline

from pytorch_grad_cam import GradCAM
from pytorch_grad_cam.core.explanation import Explanation


def explain(pipeline: ImageClassificationPipeline, picture: Image.Image) -> Explanation:
    label = pipeline(picture)[0]["label"]
    inputs = pipeline.preprocess(picture)["pixel_values"]
    seen = picture.resize(inputs.shape[:1:-1])
    return GradCAM(pipeline.model).explain(inputs, label, images=[np.asarray(seen)])
