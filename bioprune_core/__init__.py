"""BioPrune's engine: from sequence files to influence scores and coresets, without a web page in sight."""

__version__ = "0.1.0"
