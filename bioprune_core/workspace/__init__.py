"""What is on disk and what people call it: projects, datasets, models, runs and coresets."""

from bioprune_core.workspace.configuration import CONFIG_FILE, DatasetConfig, ModelConfig, RunConfig
from bioprune_core.workspace.events import (
    Event,
    EventKind,
    EventLog,
    EventTail,
    last_progress,
    read_events,
)
from bioprune_core.workspace.export import (
    export_coreset,
    export_manifest,
    export_scores,
    stream_coreset,
    stream_scores,
)
from bioprune_core.workspace.formats import ExportFormat
from bioprune_core.workspace.layout import Layout
from bioprune_core.workspace.methods import methods_paragraph
from bioprune_core.workspace.names import check_name, new_id
from bioprune_core.workspace.records import Coreset, Dataset, Model, Project, Record, Run
from bioprune_core.workspace.state import State, state_of
from bioprune_core.workspace.views import connect, open_views
from bioprune_core.workspace.workspace import Workspace

__all__ = [
    "CONFIG_FILE",
    "Coreset",
    "Dataset",
    "DatasetConfig",
    "Event",
    "EventKind",
    "EventLog",
    "EventTail",
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
    "export_scores",
    "last_progress",
    "methods_paragraph",
    "new_id",
    "open_views",
    "read_events",
    "state_of",
    "stream_coreset",
    "stream_scores",
]
