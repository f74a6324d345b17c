"""The same stages without a queue, for the command line and notebooks."""

from contextlib import closing

from bioprune_core.jobs.drive import compute_stages, target_directory
from bioprune_core.jobs.kinds import PLANS, JobKind, Plans, Stage
from bioprune_core.jobs.process import StageRunner
from bioprune_core.progress import Reporter, discard
from bioprune_core.workspace.events import EventTail
from bioprune_core.workspace.workspace import Workspace

__all__ = ["run_in_foreground"]


def run_in_foreground(
    workspace: Workspace,
    kind: JobKind,
    target_id: str,
    report: Reporter = discard,
    plans: Plans = PLANS,
) -> None:
    """Ingest a dataset, train a model or score a run here and now; return when it is finished.

    What an earlier attempt finished is not computed again; a finished target returns at once. Ctrl-C ends the
    stage that is running and raises KeyboardInterrupt; calling again continues.

    Args:
        workspace: The workspace.
        kind: What to do.
        target_id: Id of the dataset, model or run.
        report: Told of the progress of every stage.
        plans: The stages of each kind.

    Raises:
        NotFoundError: There is no such dataset, model or run.
        ConflictError: A worker or another process works on it now.
        BioPruneError: A stage failed.
    """
    directory = target_directory(workspace.layout, kind, target_id)
    tail = EventTail(directory, from_end=True)

    def forward() -> None:
        for event in tail.poll():
            if event.progress is not None:
                report(event.progress)

    with closing(StageRunner(directory, workspace.settings.stop_timeout_s)) as runner:

        def run(stage: Stage) -> None:
            runner.run(stage, should_stop=forward)
            forward()

        compute_stages(directory, f"{kind.target} {target_id}", plans[kind], run, lock_wait_s=2)
