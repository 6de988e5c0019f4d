from dataclasses import dataclass

from pytorch_grad_cam.data.images import read_image
from pytorch_grad_cam.data.samples import find_samples


@dataclass(frozen=True)
class FileItem:
    id: str
    origin: str
    label: str | int | None = None
    target: str | int | None = None

    def read(self, max_pixels):
        return read_image(self.origin, max_pixels=max_pixels)


class Files:
    def __init__(self, texts):
        self.description = " ".join(texts)
        self.samples, _ = find_samples(texts)

    def __iter__(self):
        for s in self.samples:
            yield FileItem(s.id, str(s.path), s.path.parent.name)

    def __len__(self):
        return len(self.samples)


def find_source(texts):
    return Files(texts)
