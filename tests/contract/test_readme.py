"""The README says what is so."""

from __future__ import annotations

import re

from helpers.paths import ROOT

from pytorch_grad_cam.cli.main import main
from pytorch_grad_cam.methods import METHODS

README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_table_of_methods_is_the_table() -> None:
    rows = re.findall(r"^\| `(\S+)` \| `(\w+)` \| (.+?) \| (.+?) \| (.+?) \|$", README, flags=re.MULTILINE)
    assert rows == [
        (method.name, method.path.partition(":")[2], method.summary, method.passes, method.source)
        for method in METHODS.values()
    ]


def test_the_first_commands_install_and_run_and_the_second_install_and_test() -> None:
    blocks = re.findall(r"^```bash\n(.*?)^```$", README, flags=re.MULTILINE | re.DOTALL)
    assert len(blocks) == 2
    assert "pip install ." in blocks[0]
    assert "python cam.py --model shapes" in blocks[0]
    assert blocks[1].rstrip().endswith("pytest")


def test_every_picture_and_file_that_is_named_is_there() -> None:
    named = re.findall(
        r"\]\((\S+?)\)|`((?:examples|benchmarks|docs|tools)/[\w./-]+)`|--image-path (examples\S+)", README
    )
    paths = [path for found in named for path in found if path]
    assert len(paths) > 4
    for path in paths:
        assert (ROOT / path).exists(), path


def test_every_option_that_is_named_exists(capsys) -> None:  # type: ignore[no-untyped-def]
    for verb in ([], ["layers"], ["concepts"]):
        main([*verb, "--help"])
    known = set(re.findall(r"--[a-z-]+", capsys.readouterr().out))
    commands = [line for line in README.splitlines() if "cam.py" in line]
    named = {option for line in commands for option in re.findall(r"--[a-z-]+", line)}
    assert named
    assert named <= known
