"""A worker process over the tiny stages: `python tiny_worker.py WORKSPACE NAME LEASE_S STAGE...`.

The database is that of BIOPRUNE_DATABASE_URL, or SQLite.
"""

import sys
from pathlib import Path

from tiny_stages import plans

from bioprune_core.jobs import run_worker
from bioprune_core.workspace import Workspace

if __name__ == "__main__":
    root, name, lease_s, *stages = sys.argv[1:]
    run_worker(
        Workspace.open(Path(root)),
        name or None,
        plans=plans(*stages),
        announce=lambda text: print(text, flush=True),
        beat_s=0.3,
        lease_s=float(lease_s),
    )
