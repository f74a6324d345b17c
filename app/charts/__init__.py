"""Pictures as pure functions: numbers and a palette in, a Plotly figure out; no queries, no state."""
