"""Uploading in a real browser, through interruptions."""

import os
import zlib
from pathlib import Path

import pytest
from playwright.sync_api import Page, Route, expect
from web_server import Server

from app.uploads import Upload, UploadStore
from bioprune_core.workspace import Project

pytestmark = pytest.mark.browser


def form(page: Page, server: Server, project: Project) -> None:
    page.goto(f"{server.url}/data?project={project.id}&add=1")
    expect(page.get_by_role("button", name="Choose files")).to_be_visible()


def slow_down(page: Page, milliseconds: int) -> None:
    """Have every part of an upload take so much longer."""

    def slowly(route: Route) -> None:
        page.wait_for_timeout(milliseconds)
        route.continue_()

    page.route("**/api/uploads/*offset=*", slowly)


def uploads(server: Server, project: Project) -> list[Upload]:
    return UploadStore(server.workspace / "uploads", limit=1 << 40).of_project(project.id)


def uploaded(server: Server, project: Project) -> Path:
    (upload,) = uploads(server, project)
    assert upload.complete
    return upload.path


def test_a_file_arrives_whole_and_is_offered_for_the_dataset(
    page: Page, server: Server, project: Project, tmp_path: Path
) -> None:
    content = b"".join(b">r%d\nACGUACGUACGUAC\n" % number for number in range(200_000))
    source = tmp_path / "pool.fasta"
    source.write_bytes(content)
    form(page, server, project)
    page.set_input_files("input[type=file]", source)
    expect(page.get_by_text("pool.fasta (4.7 MB)")).to_be_visible()
    assert uploaded(server, project).read_bytes() == content


def test_a_killed_server_costs_one_chunk(
    page: Page, server: Server, project: Project, tmp_path: Path
) -> None:
    content = b">a\n" + b"ACGU" * 6_000_000 + b"\n"
    source = tmp_path / "long.fasta"
    source.write_bytes(content)
    chunks: list[int] = []

    def slowly(route: Route) -> None:
        offset = int(route.request.url.rpartition("offset=")[2])
        chunks.append(offset)
        page.wait_for_timeout(150)
        route.continue_()

    page.route("**/api/uploads/*offset=*", slowly)
    form(page, server, project)
    page.set_input_files("input[type=file]", source)
    expect(page.get_by_role("progressbar", name="long.fasta")).not_to_have_attribute("aria-valuenow", "0")
    server.kill()
    expect(page.get_by_text("waiting for the server")).to_be_visible()
    (before,) = uploads(server, project)
    assert 0 < before.accepted < before.size
    server.start()
    expect(page.get_by_text("long.fasta (24.0 MB)")).to_be_visible(timeout=60_000)
    assert uploaded(server, project).read_bytes() == content
    assert chunks.count(0) == 1


def test_a_paused_upload_continues_after_a_reload(
    page: Page, server: Server, project: Project, tmp_path: Path
) -> None:
    content = b">a\n" + b"ACGU" * 3_000_000 + b"\n"
    source = tmp_path / "long.fasta"
    source.write_bytes(content)

    slow_down(page, 400)
    form(page, server, project)
    page.set_input_files("input[type=file]", source)
    pause = page.get_by_role("button", name="Pause long.fasta")
    expect(page.get_by_role("progressbar", name="long.fasta")).not_to_have_attribute("aria-valuenow", "0")
    pause.click()
    expect(page.get_by_text("MB, paused")).to_be_visible()
    (before,) = uploads(server, project)
    assert 0 < before.accepted < before.size
    page.reload()
    expect(page.get_by_text("interrupted in the last minute. Choose the same file again")).to_be_visible()
    page.set_input_files("input[type=file]", source)
    expect(page.get_by_text("long.fasta (12.0 MB)")).to_be_visible(timeout=60_000)
    assert uploaded(server, project).read_bytes() == content


def test_two_files_go_at_once_and_the_button_works_by_keyboard(
    page: Page, server: Server, project: Project, tmp_path: Path
) -> None:
    files = []
    for name in ("one.fasta", "two.fasta"):
        files.append(tmp_path / name)
        files[-1].write_text(f">{name}\nACGU\n")
    form(page, server, project)
    with page.expect_file_chooser() as chooser:
        # Focus and key at once: the page is drawn again when its script ends, and focus may go with that.
        page.get_by_role("button", name="Choose files").press("Enter")
    chooser.value.set_files(files)
    expect(page.get_by_text("one.fasta (16 B)")).to_be_visible()
    expect(page.get_by_text("two.fasta (16 B)")).to_be_visible()


def test_an_empty_file_is_refused_at_once(
    page: Page, server: Server, project: Project, tmp_path: Path
) -> None:
    (tmp_path / "empty.fasta").write_bytes(b"")
    form(page, server, project)
    page.set_input_files("input[type=file]", tmp_path / "empty.fasta")
    expect(page.get_by_text("empty.fasta is empty.")).to_be_visible()
    expect(page.get_by_role("button", name="Try again empty.fasta")).to_be_visible()


def test_a_discarded_file_is_gone(page: Page, server: Server, project: Project, tmp_path: Path) -> None:
    (tmp_path / "long.fasta").write_bytes(b">a\n" + b"ACGU" * 3_000_000)

    slow_down(page, 400)
    form(page, server, project)
    page.set_input_files("input[type=file]", tmp_path / "long.fasta")
    expect(page.get_by_role("progressbar", name="long.fasta")).not_to_have_attribute("aria-valuenow", "0")
    page.get_by_role("button", name="Discard long.fasta").click()
    expect(page.get_by_text("long.fasta")).to_have_count(0)
    page.wait_for_timeout(1_500)
    assert uploads(server, project) == []


def test_parts_become_as_small_as_a_proxy_lets_through(
    page: Page, server: Server, project: Project, tmp_path: Path
) -> None:
    content = b">a\n" + b"ACGU" * 1_000_000 + b"\n"
    (tmp_path / "long.fasta").write_bytes(content)
    passed: list[int] = []
    refused: list[int] = []

    def proxy(route: Route) -> None:
        size = len(route.request.post_data_buffer or b"")
        if size > 300_000:
            refused.append(size)
            route.fulfill(status=413, content_type="text/html", body="<h1>413 Request Entity Too Large</h1>")
        else:
            passed.append(size)
            route.continue_()

    page.route("**/api/uploads/*offset=*", proxy)
    form(page, server, project)
    page.set_input_files("input[type=file]", tmp_path / "long.fasta")
    expect(page.get_by_text("long.fasta (4.0 MB)")).to_be_visible(timeout=60_000)
    assert uploaded(server, project).read_bytes() == content
    assert refused == [1 << 20, 1 << 19]
    assert max(passed) == 1 << 18


def test_a_proxy_that_lets_nothing_through_is_named(
    page: Page, server: Server, project: Project, tmp_path: Path
) -> None:
    (tmp_path / "long.fasta").write_bytes(b">a\n" + b"ACGU" * 1_000_000)
    page.route("**/api/uploads/*offset=*", lambda route: route.fulfill(status=413, body="too large"))
    form(page, server, project)
    page.set_input_files("input[type=file]", tmp_path / "long.fasta")
    expect(page.get_by_text("A proxy in front of the server refuses parts of any size.")).to_be_visible()


def test_a_file_that_waits_begins_though_its_page_was_left_long_ago(
    page: Page, server: Server, project: Project, tmp_path: Path
) -> None:
    files = [tmp_path / f"{name}.fasta" for name in ("one", "two", "three")]
    for file in files:
        file.write_bytes(b">a\n" + b"ACGU" * 1_000_000)

    slow_down(page, 300)
    form(page, server, project)
    page.set_input_files("input[type=file]", files)
    expect(page.get_by_role("progressbar", name="one.fasta")).not_to_have_attribute("aria-valuenow", "0")
    page.get_by_role("link", name="Projects", exact=True).click()
    expect(page.get_by_role("button", name="Choose files")).to_have_count(0)
    page.evaluate("for (const manager of window.bioprune.uploads.values()) manager.token = 'too old'")
    for _ in range(100):
        page.wait_for_timeout(200)
        if [upload.complete for upload in uploads(server, project)] == [True] * 3:
            return
    pytest.fail(f"not complete after 20 s: {uploads(server, project)}")


def test_what_others_send_is_discarded_by_nobody_by_mistake(
    page: Page, server: Server, project: Project
) -> None:
    store = UploadStore(server.workspace / "uploads", limit=1 << 40)
    content = b">a\nACGU\n"
    upload = store.begin(project.id, "theirs.fasta", 1 << 20, 1)
    with store.chunk(upload.id, 0) as chunk:
        chunk.write(content)
        store.accept(upload.id, 0, chunk.commit(zlib.crc32(content)))
    form(page, server, project)
    expect(page.get_by_text("Sent from another browser, or interrupted in the last minute.")).to_be_visible()
    expect(page.get_by_role("button", name="Discard theirs.fasta")).to_have_count(0)
    long_ago = store.get(upload.id).touched - 90
    os.utime(store.folder / upload.id / "accepted", (long_ago, long_ago))
    page.reload()
    page.get_by_role("button", name="Discard theirs.fasta").click()
    expect(page.get_by_text("What has arrived of it will be lost, whoever sent it.")).to_be_visible()
    page.get_by_role("button", name="Keep theirs.fasta").click()
    page.get_by_role("button", name="Discard theirs.fasta").click()
    page.get_by_role("button", name="Discard for good theirs.fasta").click()
    expect(page.get_by_text("theirs.fasta")).to_have_count(0)
    assert uploads(server, project) == []
