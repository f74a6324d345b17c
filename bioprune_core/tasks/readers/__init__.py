"""The layouts in which tasks' data are published, one reader each."""
