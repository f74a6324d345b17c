"""A worker process over the real stages, but for the map: `python real_worker.py WORKSPACE NAME`."""

import sys
from pathlib import Path

from workspace_samples import open_workspace

from bioprune_core.jobs import JobKind, run_worker
from bioprune_core.jobs.kinds import PLANS, Plans

# The map has its own tests of interruption; loading its library takes as long as all else here.
WITHOUT_MAP: Plans = {
    kind: tuple(stage for stage in stages if stage.name != "map") for kind, stages in PLANS.items()
}

if __name__ == "__main__":
    run_worker(
        open_workspace(Path(sys.argv[1])),
        sys.argv[2],
        plans=WITHOUT_MAP,
        announce=lambda text: print(text, flush=True),
        beat_s=0.5,
        lease_s=3,
    )

__all__ = ["WITHOUT_MAP", "JobKind"]
