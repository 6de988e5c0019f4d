"""CITATION.cff, Dockerfile and CHANGELOG.md say what pyproject.toml and the tree say.

Docker itself is not needed: the Dockerfile is read, and what it names must exist.
"""

from __future__ import annotations

import json
import re
import tomllib
from fnmatch import fnmatch

import pytest
from helpers.paths import ROOT

from pytorch_grad_cam import __version__

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
INSTRUCTIONS = {"ARG", "FROM", "RUN", "WORKDIR", "COPY", "ENV", "USER", "ENTRYPOINT", "CMD"}


def instructions() -> list[tuple[str, str]]:
    """The Dockerfile's instructions in their order, lines that go on joined."""
    text = re.sub(r"^\s*#.*\n", "", (ROOT / "Dockerfile").read_text(encoding="utf-8"), flags=re.MULTILINE)
    lines = [line.strip() for line in text.replace("\\\n", " ").splitlines() if line.strip()]
    return [(line.split()[0], line.partition(" ")[2].strip()) for line in lines]


def values(name: str) -> list[str]:
    return [value for instruction, value in instructions() if instruction == name]


def test_the_dockerfile_is_one() -> None:
    names = [name for name, _ in instructions()]
    assert set(names) <= INSTRUCTIONS
    assert names[:2] == ["ARG", "FROM"]  # the base is chosen when it is built
    arguments = dict(value.split("=", 1) for value in values("ARG"))
    assert set(re.findall(r"\$\{(\w+)\}", " ".join(value for _, value in instructions()))) == set(arguments)
    assert set(arguments["EXTRAS"].split(",")) <= set(PROJECT["optional-dependencies"])
    (start,), (more,) = values("ENTRYPOINT"), values("CMD")
    assert json.loads(start)[0] in PROJECT["scripts"]
    assert json.loads(more) == ["--help"]
    assert values("USER")[-1] not in ("0", "root")


def test_what_it_copies_is_there_and_is_sent() -> None:
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    sent = [line[1:] for line in ignored if line.startswith("!")]
    copied = [source for value in values("COPY") for source in value.split()[:-1]]
    assert sorted(copied) == sorted(sent)
    for source in copied:
        assert (ROOT / source).exists(), source
    assert ["*" in ignored, any(fnmatch("a/__pycache__", line) for line in ignored)] == [True, True]
    built_from = {PROJECT["readme"], *PROJECT["license-files"], "pyproject.toml", "pytorch_grad_cam"}
    assert built_from <= set(copied)


def test_it_installs_versions_that_are_new_enough() -> None:
    needed = {line for line in PROJECT["dependencies"] if line.startswith(("torch>", "torchvision>"))}
    assert set(re.findall(r'"(torch\w*>=[\d.]+)"', " ".join(values("RUN")))) == needed
    described = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    (base,) = re.findall(r"BASE=pytorch/pytorch:([\d.]+)-cuda", described)
    assert tuple(map(int, base.split("."))) >= (2, 6)


def test_the_citation() -> None:
    text = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    cited = dict(re.findall(r'^([\w-]+): "?([^"\n]+)"?$', text, re.MULTILINE))
    assert cited["cff-version"] == "1.2.0"
    assert cited["version"] == __version__
    assert cited["license"] == PROJECT["license"]
    (authors,) = (author["name"] for author in PROJECT["authors"])
    assert f'- name: "{authors}"' in text
    bibtex = (ROOT / "README.md").read_text(encoding="utf-8").partition("```bibtex")[2]
    for line in (f"title  = {{{cited['title']}}}", f"author = {{{authors}}}"):
        assert line in bibtex


def test_the_citation_is_yaml() -> None:
    yaml = pytest.importorskip("yaml", reason="needs the package yaml: pip install pyyaml")
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert {"cff-version", "message", "title", "authors"} <= set(cited)  # what the format 1.2.0 requires


def test_the_changelog_knows_the_version() -> None:
    headings = re.findall(r"^## (.+)$", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert headings[0] == "Unreleased"
    assert headings[1].split()[0] == __version__
