"""What is on disk and what people call it: projects, datasets, models, runs, coresets and experiments.

Names are resolved on first use: the child process of a stage needs the event log and the locks only, and must
not wait for databases and readers.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bioprune_core.workspace.configuration import (
        CONFIG_FILE,
        DatasetConfig,
        ExperimentPlan,
        ModelConfig,
        RunConfig,
    )
    from bioprune_core.workspace.events import (
        Event,
        EventKind,
        EventLog,
        EventTail,
        read_events,
    )
    from bioprune_core.workspace.export import (
        export_coreset,
        export_manifest,
        export_provenance,
        export_scores,
        provenance_files,
        stream_coreset,
        stream_scores,
    )
    from bioprune_core.workspace.formats import ExportFormat
    from bioprune_core.workspace.layout import Layout
    from bioprune_core.workspace.manifests import CoresetManifest, read_coreset_manifest
    from bioprune_core.workspace.methods import methods_paragraph
    from bioprune_core.workspace.names import check_name, free_name, new_id
    from bioprune_core.workspace.records import (
        Computed,
        Coreset,
        Dataset,
        Experiment,
        Model,
        Project,
        Record,
        Run,
    )
    from bioprune_core.workspace.run_notes import notes_of_run
    from bioprune_core.workspace.state import State, state_of
    from bioprune_core.workspace.views import connect, open_views
    from bioprune_core.workspace.workspace import Workspace

__all__ = [
    "CONFIG_FILE",
    "Computed",
    "Coreset",
    "CoresetManifest",
    "Dataset",
    "DatasetConfig",
    "Event",
    "EventKind",
    "EventLog",
    "EventTail",
    "Experiment",
    "ExperimentPlan",
    "ExportFormat",
    "Layout",
    "Model",
    "ModelConfig",
    "Project",
    "Record",
    "Run",
    "RunConfig",
    "State",
    "Workspace",
    "check_name",
    "connect",
    "export_coreset",
    "export_manifest",
    "export_provenance",
    "export_scores",
    "free_name",
    "methods_paragraph",
    "new_id",
    "notes_of_run",
    "open_views",
    "provenance_files",
    "read_coreset_manifest",
    "read_events",
    "state_of",
    "stream_coreset",
    "stream_scores",
]

_HOMES = {
    "CONFIG_FILE": "configuration",
    "Computed": "records",
    "Coreset": "records",
    "CoresetManifest": "manifests",
    "Dataset": "records",
    "DatasetConfig": "configuration",
    "Event": "events",
    "EventKind": "events",
    "EventLog": "events",
    "EventTail": "events",
    "Experiment": "records",
    "ExperimentPlan": "configuration",
    "ExportFormat": "formats",
    "Layout": "layout",
    "Model": "records",
    "ModelConfig": "configuration",
    "Project": "records",
    "Record": "records",
    "Run": "records",
    "RunConfig": "configuration",
    "State": "state",
    "Workspace": "workspace",
    "check_name": "names",
    "connect": "views",
    "export_coreset": "export",
    "export_manifest": "export",
    "export_provenance": "export",
    "export_scores": "export",
    "free_name": "names",
    "methods_paragraph": "methods",
    "new_id": "names",
    "notes_of_run": "run_notes",
    "open_views": "views",
    "provenance_files": "export",
    "read_coreset_manifest": "manifests",
    "read_events": "events",
    "state_of": "state",
    "stream_coreset": "export",
    "stream_scores": "export",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
