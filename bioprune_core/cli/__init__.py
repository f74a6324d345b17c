"""The command line: the same verbs as the pages, one after the other.

Exit codes: 0 done; 1 an error without a code of its own; 2 a wrong argument, file or value; 3 what was named
is not there; 4 a name is taken or something else works on it; 5 disk; 6 a stage failed; 130 interrupted.
"""

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from bioprune_core import __version__
from bioprune_core.cli import coresets, data, experiments, models, operations, scoring, validating
from bioprune_core.cli.output import print_error
from bioprune_core.errors import BioPruneError

__all__ = ["main"]

_INTERRUPTED = 130

app = typer.Typer(
    name="bioprune",
    no_args_is_help=True,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
    pretty_exceptions_enable=False,
)
for module in (data, models, scoring, coresets, experiments, validating, operations):
    module.register(app)


@app.callback()
def _common(
    workspace: Annotated[
        Path | None,
        typer.Option(
            help="Folder of datasets, runs and coresets. Default: $BIOPRUNE_WORKSPACE or data/workspace."
        ),
    ] = None,
) -> None:
    """From a sequence file to the coreset to pretrain on.

    Start with `bioprune demo`, or with `bioprune ingest FILE --project P --dataset D`.
    """
    if workspace is not None:
        # Through the environment, so that workers, stages and the server started from here see it too.
        os.environ["BIOPRUNE_WORKSPACE"] = str(workspace.absolute())


@app.command()
def version() -> None:
    """Print the version."""
    print(__version__)


def main() -> None:
    """Run the command line and exit with its code."""
    as_json = "--json" in sys.argv
    try:
        app()  # tells of wrong usage itself, with code 2
    except BioPruneError as error:
        print_error(error, as_json)
        sys.exit(error.exit_code)
    except SystemExit as ending:
        if ending.code == _INTERRUPTED:
            print(
                "Interrupted. What was finished is kept; the same command goes on from there.",
                file=sys.stderr,
            )
        raise
