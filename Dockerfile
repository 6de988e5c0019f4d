# The command line in a container, for the CPU:
#   docker build --tag cam .
#   docker run --rm --user "$(id -u):$(id -g)" --volume "$PWD:/work" cam dog.jpg
# With CUDA, on a base that brings PyTorch, Python and CUDA; the host needs the NVIDIA container toolkit:
#   docker build --build-arg BASE=pytorch/pytorch:2.7.1-cuda12.6-cudnn9-runtime --tag cam:cuda .
#   docker run --rm --gpus all --user "$(id -u):$(id -g)" --volume "$PWD:/work" cam:cuda dog.jpg --use-cuda
ARG BASE=python:3.12-slim
FROM ${BASE}

# Optional parts, by their names in pyproject.toml.
ARG EXTRAS=timm,safetensors

# Where the base has PyTorch already, nothing is installed here.
RUN pip install --no-cache-dir --index-url https://download.pytorch.org/whl/cpu "torch>=2.6" "torchvision>=0.21"

WORKDIR /src
COPY pyproject.toml setup.py README.md LICENSE ./
COPY pytorch_grad_cam ./pytorch_grad_cam
# What is installed is this folder; its version is the one that is copied.
# hadolint ignore=DL3013
RUN pip install --no-cache-dir ".[${EXTRAS}]" && install --directory --mode=1777 /cache

# Nobody special: files from strangers are read here. Whoever runs it keeps downloaded weights in /cache.
ENV HOME=/cache
USER 10001
WORKDIR /work
ENTRYPOINT ["cam"]
CMD ["--help"]
