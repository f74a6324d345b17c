"""Commands that run things: worker, serve, jobs, demo, doctor."""

import sys
from dataclasses import asdict
from typing import Annotated

import typer

from bioprune_core.cli.doctor import Finding, Verdict, examine
from bioprune_core.cli.execution import opened_workspace
from bioprune_core.cli.output import JsonOption, print_result, print_table, progress_bars
from bioprune_core.cli.supervision import require_free_port, run_together, server_command, worker_command
from bioprune_core.demo.pipeline import prepare_demo
from bioprune_core.jobs import JobClient
from bioprune_core.settings import Settings

__all__ = ["register"]

Host = Annotated[
    str, typer.Option(help="Address to listen on. Anything but 127.0.0.1 needs a login in front.")
]
Port = Annotated[int, typer.Option(help="Port to listen on.", min=1, max=65535)]


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command()(worker)
    app.command()(serve)
    app.command()(demo)
    app.command()(doctor)
    group = typer.Typer(
        help="The queue: list, cancel, retry or resume jobs, or read their logs.", invoke_without_command=True
    )
    group.callback()(jobs)
    group.command()(cancel)
    group.command()(retry)
    group.command()(resume)
    group.command()(log)
    app.add_typer(group, name="jobs")


def worker(
    name: Annotated[
        str | None,
        typer.Option(
            help="Stable name of this worker; by default the first that is free of HOST-1, HOST-2, ..."
        ),
    ] = None,
) -> None:
    """Work on queued jobs until ended. Ctrl-C or SIGTERM leaves cleanly; another worker goes on.

    Example: bioprune worker
    """
    from bioprune_core.jobs.worker import run_worker

    with opened_workspace() as workspace:
        run_worker(workspace, name=name)


def serve(
    host: Host = "127.0.0.1",
    port: Port = 8501,
    with_worker: Annotated[bool, typer.Option("--worker", help="Run a worker beside the server.")] = False,
) -> None:
    """Serve the app, until Ctrl-C.

    Example: bioprune serve --worker
    """
    _serve(host, port, with_worker)


def demo(
    serve: Annotated[bool, typer.Option(help="Serve the app afterwards, with a worker.")] = True,
    host: Host = "127.0.0.1",
    port: Port = 8501,
    as_json: JsonOption = False,
) -> None:
    """Take the sample from file to coreset, then serve the app. A second run starts from what is there.

    Example: bioprune demo --no-serve
    """
    if serve:
        require_free_port(host, port)
    with opened_workspace() as workspace, progress_bars(as_json) as report:
        result = prepare_demo(workspace, report)
    print_result(
        result.to_json(),
        as_json,
        f"The demo project is ready: {result.pool:,} sequences scored, a coreset of {result.coreset:,} "
        f"in {result.exported} ({result.seconds:.0f} s).",
    )
    if serve:
        _serve(host, port, with_worker=True)


def _serve(host: str, port: int, with_worker: bool) -> None:
    Settings.from_environment()  # What server and worker would end on is told here, once.
    require_free_port(host, port)
    commands = {"web server": server_command(host, port)}
    if with_worker:
        commands["worker"] = worker_command()

    def announce() -> None:
        beside = ", with a worker waiting for jobs" if with_worker else ""
        print(f"BioPrune is at http://{host}:{port}{beside}. Ctrl-C ends it.", file=sys.stderr, flush=True)

    run_together(commands, f"http://{host}:{port}/_stcore/health", announce)
    print("Ended.", file=sys.stderr)


def jobs(
    context: typer.Context,
    project: Annotated[str | None, typer.Option(help="Only this project.")] = None,
    as_json: JsonOption = False,
) -> None:
    """List the queue: waiting, running and past jobs, newest first.

    Examples:

        bioprune jobs

        bioprune jobs cancel JOB
    """
    if context.invoked_subcommand is not None:
        return
    with opened_workspace(make=False) as workspace, JobClient(workspace) as client:
        owner = None if project is None else workspace.project(project).id
        rows = [
            {
                "job": job.id,
                "kind": str(job.kind),
                "target": job.target_name or job.target_id,
                "state": str(job.state),
                "stage": job.stage,
                "worker": job.worker or "",
                "progress": "" if job.progress is None else _progress(job.progress.done, job.progress.total),
                "created": job.created,
                "error": job.error or "",
            }
            for job in client.list(owner)
        ]
    print_table(rows, as_json, "No jobs. Queue one with --queue, or from the app.")


def cancel(job: Annotated[str, typer.Argument(help="Id of the job.")], as_json: JsonOption = False) -> None:
    """Cancel a job; its stage ends within 5 s, finished shards stay. Example: bioprune jobs cancel JOB"""
    _act("cancel", "is cancelled", job, as_json)


def retry(job: Annotated[str, typer.Argument(help="Id of the job.")], as_json: JsonOption = False) -> None:
    """Queue a failed job again; finished shards are kept. Example: bioprune jobs retry JOB"""
    _act("retry", "is queued again", job, as_json)


def resume(job: Annotated[str, typer.Argument(help="Id of the job.")], as_json: JsonOption = False) -> None:
    """Go on with a cancelled job. Example: bioprune jobs resume JOB"""
    _act("resume", "goes on", job, as_json)


def log(job: Annotated[str, typer.Argument(help="Id of the job.")], as_json: JsonOption = False) -> None:
    """Print what a job's stages printed, the end of it. Example: bioprune jobs log JOB"""
    with opened_workspace(make=False) as workspace, JobClient(workspace) as client:
        text = client.log(job)
    print_result({"job": job, "log": text}, as_json, text or f"The job {job} has printed nothing so far.")


def _act(verb: str, outcome: str, job: str, as_json: bool) -> None:
    with opened_workspace(make=False) as workspace, JobClient(workspace) as client:
        getattr(client, verb)(job)
    print_result({"job": job, "action": verb}, as_json, f"The job {job} {outcome}.")


def _progress(done: int, total: int | None) -> str:
    return f"{done:,}" if not total else f"{100 * done / total:.0f} %"


def doctor(as_json: JsonOption = False) -> None:
    """Say what is installed, which devices, disk and database there are, and what to fix.

    Exits with 1 where something must be fixed. Example: bioprune doctor --json
    """
    findings = examine(Settings.from_environment())
    rows = [asdict(finding) for finding in findings]
    if as_json:
        print_table(rows, True, "")
    else:
        for finding in findings:
            print(_line(finding))
    if any(finding.verdict is Verdict.PROBLEM for finding in findings):
        raise typer.Exit(1)


def _line(finding: Finding) -> str:
    mark = {Verdict.GOOD: "ok     ", Verdict.WARNING: "warning", Verdict.PROBLEM: "problem"}[finding.verdict]
    remedy = f"\n{'':10}{finding.remedy}" if finding.remedy else ""
    return f"{mark}  {finding.what}: {finding.value}{remedy}"
