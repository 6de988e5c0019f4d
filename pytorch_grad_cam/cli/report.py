"""The command ``report``: a page that shows what a run found."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Sequence

from pytorch_grad_cam.cli.arguments import CommandParser
from pytorch_grad_cam.cli.commands import COMMANDS
from pytorch_grad_cam.cli.output import headed_lines

EPILOG = """RUN/report/index.html opens in any browser, from disk: pictures under their maps, sorted and filtered by
class, label, right or wrong, confidence, energy, note and text; confused pairs; methods side by side. It asks nobody
for anything. A run that goes on afterwards is reported anew by the same command.
"""
_EXAMPLES = ("RUN", "RUN --single-file --output report.html     (to mail)")


def parse(program: str, arguments: Sequence[str]) -> Namespace:
    """Read the options; on a mistake, print one line and exit with 2, as argparse does."""
    parser = CommandParser(_EXAMPLES, prog=program, description=COMMANDS["report"].description, epilog=EPILOG)
    parser.add_argument("run", metavar="RUN", help="the folder that cam run was told with --output-dir")
    what = "write one file that holds the pictures, small, up to 300 of them"
    parser.add_argument("--single-file", action="store_true", help=what)
    what = "where the single file goes (default: RUN/report/single_file.html)"
    parser.add_argument("--output", metavar="FILE", help=what)
    parser.add_argument("--debug", action="store_true", help="show the full traceback of an error")
    options = parser.parse_args(arguments)
    if options.output is not None and not options.single_file:
        parser.error(
            "--output goes with --single-file; the report itself lies in RUN/report, where it finds the pictures"
        )
    return options


def run(options: Namespace) -> int:
    """Write the report and say where it is."""
    from pathlib import Path

    from pytorch_grad_cam.runs.report.write import write_report, write_single_file
    from pytorch_grad_cam.runs.run_folder import RunFolder

    folder = RunFolder(options.run)
    if options.single_file:
        written = write_single_file(folder, None if options.output is None else Path(options.output))
    else:
        written = write_report(folder)
    print(f"pictures:   {written.rows:,}")
    print(*headed_lines("note", written.remarks), sep="\n", end="\n" if written.remarks else "")
    print(f"written:    {written.path}")
    return 0
