# %% [markdown]
# # Data sets
# Many pictures in one run that goes on where it was stopped, and what to read of it afterwards.
# %%
import tempfile
from pathlib import Path

from pytorch_grad_cam import open_run
from pytorch_grad_cam.cli.main import main

folder = Path(tempfile.mkdtemp()) / "run"
main(["run", "../images", "--output-dir", str(folder), "--model", "shapes", "--save", "overlay", "npy"])
# %%
run = open_run(folder)
for row in run:
    print(row["id"], row["status"], [(seen["name"], round(seen["share"], 2)) for seen in row["predicted"][:2]])
# %% [markdown]
# The maps of one picture, and a row for each map of all of them:
# %%
{name: map.shape for name, map in run.maps("scene_star_ring").items()}
# %%
next(iter(run.flat_rows()))
