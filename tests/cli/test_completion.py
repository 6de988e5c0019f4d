"""`cam completion`: what a shell completes, asked of real shells, is what the help of each command lists."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pytorch_grad_cam.cli.commands import COMMANDS
from pytorch_grad_cam.cli.main import main
from pytorch_grad_cam.methods import METHODS
from pytorch_grad_cam.nnc.options import CONSOLE_COMMANDS

VERBS = [(name, *second) for name, row in COMMANDS.items() for second in ((), *((w,) for w in row.second_words))]
ASK = """
ask() {
    COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMPREPLY=()
    _cam
    local IFS=$'\\t'; echo "${COMPREPLY[*]}"
}
"""


@pytest.fixture(autouse=True)
def _typed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever runs the tests, the program is called cam."""
    monkeypatch.setattr(sys, "argv", ["/usr/local/bin/cam"])


def script(shell: str, capsys: pytest.CaptureFixture[str]) -> str:
    assert main(["completion", shell]) == 0
    return capsys.readouterr().out


def in_bash(source: str, lines: list[tuple[str, ...]], folder: Path) -> list[set[str]]:
    """What bash completes behind each line, whose last word is the one that is typed."""
    quoted = "\n".join("ask " + " ".join(f"'{word}'" for word in ("cam", *line)) for line in lines)
    (folder / "cam.bash").write_text(source, encoding="utf-8")
    program = f'. "$1"\ncomplete -p cam >&2\n{ASK}\n{quoted}\n'
    words = ["bash", "--norc", "--noprofile", "-c", program, "bash", str(folder / "cam.bash")]
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "complete -F _cam cam"
    return [set(filter(None, line.split("\t"))) for line in done.stdout.split("\n")[:-1]]


def of_the_help(verb: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> set[str]:
    """The options that the help of a command lists, by reading it."""
    assert main([*verb, "--help"]) == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if re.match(r"  -", line)]
    return {name for line in lines for name in re.findall(r"(?:^  |, )(--?[a-z][\w-]*)", line)}


def test_every_option_of_every_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert len(VERBS) >= 16
    source = script("bash", capsys)
    found = dict(zip(VERBS, in_bash(source, [(*verb, "-") for verb in VERBS], tmp_path), strict=True))
    for verb in VERBS:
        listed = of_the_help(verb, capsys)
        assert "--help" in listed
        assert found[verb] == listed, verb


def test_words_and_values(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "dog [1].jpg").touch()
    (tmp_path / "days").mkdir()
    wanted: dict[tuple[str, ...], set[str]] = {
        ("ev",): {"evaluate"},
        ("d",): {"demo", "doctor", "dog [1].jpg", "days"},  # a picture may come first
        ("--out",): {"--output", "--output-dir"},
        ("run", "d"): {"dog [1].jpg", "days"},
        ("run", "--output-dir", "d"): {"days"},
        ("run", "--method", "gradcam", "hir"): {"hirescam"},  # several values
        ("run", "--dtype", "b"): {"bfloat16"},
        ("run", "--dtype", "bfloat16", "do"): {"dog [1].jpg"},  # one value, and it is there
        ("run", "--debug", "do"): {"dog [1].jpg"},  # none
        ("run", "--seed", ""): set(),
        ("--method", ""): {*METHODS, "all"},
        ("volume", "--choose", ""): {"evenly", "evidence"},
        ("--device", "c"): {"cpu", "cuda"},
        ("nnc", ""): set(CONSOLE_COMMANDS),
        ("nnc", "smoothgrad", "--style", ""): {"paper", "nnc"},
        ("completion", ""): {"bash", "zsh", "fish"},
        ("methods", ""): set(),
    }
    found = in_bash(script("bash", capsys), list(wanted), tmp_path)
    assert dict(zip(wanted, found, strict=True)) == wanted


def test_the_second_words_are_those_that_there_are() -> None:
    assert COMMANDS["nnc"].second_words == tuple(CONSOLE_COMMANDS)


def test_another_shell_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", "tcsh"]) == 2
    assert "invalid choice: 'tcsh'" in capsys.readouterr().err


def shell(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"needs the program {name}: apt-get install {name}")
    return found


@pytest.mark.slow
def test_fish(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "days").mkdir()
    (tmp_path / "dog.jpg").touch()
    (tmp_path / "cam.fish").write_text(script("fish", capsys), encoding="utf-8")
    wanted = {
        "ev": {"evaluate"},
        "run d": {"days/", "dog.jpg"},
        "run --output-dir d": {"days/"},
        "run --dtype ": {"float32", "bfloat16", "float16"},
        "run --seed ": set(),
        "--method hir": {"hirescam"},
        "nnc ": set(CONSOLE_COMMANDS),
        "nnc smoothgrad --style ": {"paper", "nnc"},
    } | {f"{' '.join(verb)} --": of_the_help(verb, capsys) for verb in VERBS}
    lines = [f'echo "== {line}"; complete -C"cam {line}"' for line in wanted]
    program = "\n".join([f"source {tmp_path}/cam.fish", *lines])
    environment = {"HOME": str(tmp_path), "PATH": os.environ["PATH"]}
    done = subprocess.run(
        [shell("fish"), "--no-config", "-c", program],
        cwd=tmp_path, env=environment, capture_output=True, text=True, check=True,
    )  # fmt: skip
    parts = [part.splitlines() for part in done.stdout.split("== ")[1:]]
    found = {lines[0]: {line.partition("\t")[0] for line in lines[1:]} for lines in parts}
    for line, words in wanted.items():
        kept = {word for word in words if word.startswith("--") or not line.endswith("--")}
        assert found[line] == kept, line


@pytest.mark.slow
def test_zsh(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A terminal of zsh, in which tabs are typed."""
    (tmp_path / "cam.zsh").write_text(script("zsh", capsys), encoding="utf-8")
    program = f"""
zmodload zsh/zpty
type_keys() {{ zpty -n -w terminal "$1"; zpty -r -m terminal seen "*$2*" && print -r -- "found $2" }}
zpty terminal {shell("zsh")} -f -i
zpty -w terminal "PS1=; cd {tmp_path}; autoload -U compinit; compinit -u -D; source cam.zsh; echo rea''dy"
zpty -r -m terminal seen "*ready*"
type_keys $'cam docto\\t' 'cam doctor'
type_keys $'\\x15cam run --outpu\\t' 'cam run --output-dir'
type_keys $'\\x15cam --method shapl\\t' 'cam --method shapleycam'
zpty -d terminal
"""
    done = subprocess.run([shell("zsh"), "-f", "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.splitlines() == [
        f"found {line}" for line in ("cam doctor", "cam run --output-dir", "cam --method shapleycam")
    ]
