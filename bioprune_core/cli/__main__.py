"""`python -m bioprune_core.cli` is the command `bioprune`."""

from bioprune_core.cli import main

main()
