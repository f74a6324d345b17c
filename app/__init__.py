"""The web application's shell: everything that knows Streamlit but is no page.

What a page author needs:

Pages live in `pages/<name>.py`, define `render()` and end with `if __name__ == "__main__": render()`, so
that importing one does nothing. A page appears in the navigation as soon as its file is there
(`app.navigation.PageName` fixes names and order); it never appears as a stub. The process
never imports torch.

    from app.context import current_project, current_run, jobs, place, set_place, workspace
    from app.components import KeyFigure, chart, empty_state, field_error, key_figures, page_header
    from app.navigation import PageName, go, link, project_or_stop
    from app.theme import category_colours, current_palette, figure_layout, strata_colours

context     `workspace()` and `jobs()` are opened once a process. `place()` is what the address names
            (`?project=&dataset=&run=&coreset=`, ids); `current_project()` is the row or None,
            `current_run(project)` and its siblings likewise. Own parameters of a page (alpha, beta)
            go into the address with `bind="query-params"` on keyed widgets, or `st.query_params`.
navigation  `go(PageName.EXPLORE, run=run.id)` opens a page and keeps the rest of the place; `link(...)` draws
            it. `project_or_stop()` gives the project, or draws the empty state and ends the run.
theme       `LIGHT`, `DARK`, `current_palette()`; `figure_layout(title, x_title, y_title, height=, revision=)`
            for `figure.update_layout(**...)`; `INFLUENCE_SCALE` (cividis), `strata_colours(k)`,
            `category_colours`, `NUCLEOTIDES`, `AMINO_ACIDS`. Accent: in the coreset; `context`: not selected;
            `removed`: cut by beta, drawn hatched.
components  `page_header`, `key_figures`, `empty_state`, `state_html`, `table`, `pairs`, `note`,
            `field_error`, `show_error`, `chart` (a figure with its SVG and CSV), `download_links`,
            `plain` (names and messages, for what reads Markdown).
formatting  `count`, `amount`, `percent`, `byte_size`, `duration`, `relative_time`, `time_html`.
downloads   `download_url(...)`: a signed, short-lived address of a streamed export.

A `BioPruneError` that a page lets through is shown as its sentence; other exceptions go to the log. Wording:
sentence case, no exclamation marks, no emoji, British spelling, every figure with its unit.
"""
