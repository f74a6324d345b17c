"""Signs of life of workers, and who takes over from the dead.

A worker counts up a number. Another one that has watched it stand still for the length of a lease, on its own
monotonic clock, takes the worker for dead. So no clocks are compared, and a machine that slept does not find
everybody else dead when it wakes. Who only looks has no time to watch; for that a beat has the time of the
database's server, where there is one, as clocks of machines differ.
"""

import json
import os
import socket
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from bioprune_core.jobs.status import WorkerStatus
from bioprune_core.workspace.locks import hold
from bioprune_core.workspace.workspace import Workspace

__all__ = ["BEAT_S", "LEASE_S", "Heartbeats", "Watch"]

BEAT_S = 3.0
LEASE_S = 20.0
"""Seconds without a beat after which a worker's jobs are taken over."""

_metadata = sa.MetaData()
_workers = sa.Table(
    "workers",
    _metadata,
    sa.Column("name", sa.String(200), primary_key=True),
    sa.Column("host", sa.String(255), nullable=False),
    sa.Column("process", sa.Integer, nullable=False),
    sa.Column("started", sa.Float, nullable=False),
    sa.Column("seen", sa.Float, nullable=False),
    sa.Column("beat", sa.Integer, nullable=False),
    sa.Column("jobs", sa.Text, nullable=False),
)


class Heartbeats:
    """The table of workers, beside the catalogue."""

    def __init__(self, workspace: Workspace) -> None:
        self._engine = workspace.catalogue.engine
        with hold(workspace.root / ".workers.lock", "the table of workers", wait_s=30):
            _metadata.create_all(self._engine)

    def beat(self, name: str, started: datetime, job_ids: Sequence[str]) -> None:
        """Say that a worker lives and what it is doing."""
        values = {
            "host": socket.gethostname(),
            "process": os.getpid(),
            "started": started.timestamp(),
            "seen": self._now(),
            "jobs": json.dumps(list(job_ids)),
        }
        change = _workers.update().where(_workers.c.name == name)
        with self._engine.begin() as connection:
            if connection.execute(change.values(**values, beat=_workers.c.beat + 1)).rowcount:
                return
        try:
            with self._engine.begin() as connection:
                connection.execute(_workers.insert().values(name=name, beat=0, **values))
        except IntegrityError:
            pass  # Written by this worker's own other thread in the meantime: a sign of life as good as ours.

    def counts(self) -> dict[str, int]:
        """The number of beats of every worker in the table."""
        with self._engine.connect() as connection:
            return {
                row.name: row.beat for row in connection.execute(sa.select(_workers.c.name, _workers.c.beat))
            }

    def remove(self, name: str, beat: int | None = None) -> bool:
        """Take a worker out of the table, with `beat` only if it has not beaten since.

        Returns:
            Whether it was taken out by this call.
        """
        change = _workers.delete().where(_workers.c.name == name)
        if beat is not None:
            change = change.where(_workers.c.beat == beat)
        with self._engine.begin() as connection:
            return connection.execute(change).rowcount == 1

    def all(self) -> list[WorkerStatus]:
        """Every worker that is alive or died without leaving, by name."""
        with self._engine.connect() as connection:
            asked = sa.select(_workers, self._now().label("now")).order_by(_workers.c.name)
            rows = connection.execute(asked).all()
        return [
            WorkerStatus(
                name=row.name,
                host=row.host,
                process=row.process,
                started=datetime.fromtimestamp(row.started, UTC),
                seen=datetime.fromtimestamp(row.seen, UTC),
                alive=float(row.now) - row.seen < LEASE_S,
                job_ids=tuple(json.loads(row.jobs)),
            )
            for row in rows
        ]

    def _now(self) -> sa.ColumnElement[Any]:
        """Seconds since 1970: by the server's clock, or by this machine's where the database is a file."""
        if self._engine.dialect.name == "postgresql":
            return sa.extract("epoch", sa.func.clock_timestamp())
        return sa.literal(time.time())


class Watch:
    """One worker's view of the others' beats.

    Args:
        own_name: The worker that watches.
        lease_s: Seconds of standing still that mean dead.
    """

    def __init__(self, own_name: str, lease_s: float = LEASE_S) -> None:
        self._own_name = own_name
        self._lease_s = lease_s
        self._stood: dict[str, tuple[int, float]] = {}
        self._looked = time.monotonic()

    def dead(self, counts: dict[str, int]) -> dict[str, int]:
        """Those who have stood still for a lease, with the beat at which they did.

        Between two looks a quarter of a lease counts at most: while the database is away nobody can beat, and
        whoever reaches it first would take all others for dead.
        """
        now = time.monotonic()
        passed, self._looked = min(now - self._looked, self._lease_s / 4), now
        self._stood = {
            name: (beat, known[1] + passed if (known := self._stood.get(name)) and known[0] == beat else 0.0)
            for name, beat in counts.items()
        }
        return {
            name: beat
            for name, (beat, stood) in self._stood.items()
            if name != self._own_name and stood >= self._lease_s
        }
