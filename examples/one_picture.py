"""Explain one picture with the bundled network: which pixels say "star"?"""

from pathlib import Path

from pytorch_grad_cam import GradCAM
from pytorch_grad_cam.data.images import read_image, write_image
from pytorch_grad_cam.models.load import load_model
from pytorch_grad_cam.utils.image import show_cam_on_image

PICTURE = Path(__file__).parent / "images" / "scene_star_ring.png"


def main(output: Path = Path("output/one_picture.jpg")) -> None:
    loaded = load_model("shapes")
    picture = read_image(PICTURE)
    inputs = loaded.preprocessing(picture)[None]  # (1, 3, 128, 128)

    explanation = GradCAM(loaded.model, "stage4").explain(inputs)

    heatmap = loaded.preprocessing.to_picture(explanation.numpy()[0], picture.shape[:2])
    output.parent.mkdir(parents=True, exist_ok=True)
    write_image(output, show_cam_on_image(picture, heatmap, use_rgb=True))
    print(f"{output} shows {loaded.categories[explanation.classes[0]]}, layer {explanation.layers[0]}")


if __name__ == "__main__":
    main()
