"""Files of the server are read only where the operator allows it, and no link leads out of there."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from app import import_folders as module
from app.import_folders import ImportFolders, import_folders, listen_on
from app.previews import sample_files
from bioprune_core.errors import InputError
from bioprune_core.sequences import IngestOptions, ingest
from bioprune_core.settings import Settings


@pytest.fixture(autouse=True)
def forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_address", [])


@pytest.fixture
def shared(tmp_path: Path) -> Path:
    """A folder with a file, a link inside, and links to a file and a folder elsewhere."""
    folder, secret = tmp_path / "shared", tmp_path / "secret"
    folder.mkdir()
    secret.mkdir()
    (secret / "private.fasta").write_text(">private\nGGGGCCCCAAAA\n")
    (folder / "open.fasta").write_text(">open\nACGUACGUACGU\n")
    (folder / "again.fasta").symlink_to(folder / "open.fasta")
    (folder / "out.fasta").symlink_to(secret / "private.fasta")
    (folder / "away").symlink_to(secret)
    return folder


@pytest.mark.parametrize("address", ["127.0.0.1", "127.0.0.5", "::1", "localhost"])
def test_a_laptop_imports_from_anywhere(address: str, tmp_path: Path) -> None:
    listen_on(address)
    found = import_folders((), "", {"Host": "127.0.0.1:8501"})
    assert found.anywhere
    assert found.path(str(tmp_path)) == tmp_path


@pytest.mark.parametrize("address", ["0.0.0.0", "::", "192.168.0.7", "lab.example.org", ""])
def test_a_server_for_others_imports_nothing_unless_told(address: str, tmp_path: Path) -> None:
    listen_on(address)
    found = import_folders((), "", {})
    assert not found
    with pytest.raises(InputError):
        found.path(str(tmp_path))


def test_an_unknown_address_a_name_and_a_proxy_are_servers_for_others() -> None:
    assert not import_folders((), "", {})
    listen_on("127.0.0.1")
    assert not import_folders((), "lab.example.org", {})
    assert not import_folders((), "", {"X-Forwarded-For": "10.0.0.3"})


def test_named_folders_limit_also_a_laptop(shared: Path) -> None:
    listen_on("127.0.0.1")
    found = import_folders((shared,), "", {})
    assert found == ImportFolders((shared,))
    assert found.path(f" {shared}/open.fasta ") == shared / "open.fasta"
    assert found.path(f"{shared}/again.fasta") == shared / "open.fasta"
    assert found.path(str(shared)) == shared


@pytest.mark.parametrize(
    "text",
    [
        "{}/out.fasta",
        "{}/away",
        "{}/away/private.fasta",
        "{}/../secret",
        "{}/../no-such",
        "/",
        "/etc/passwd",
        "{}-2",
    ],
)
def test_nothing_leads_out_and_nothing_is_told_of_what_lies_there(shared: Path, text: str) -> None:
    with pytest.raises(InputError, match="outside of the folders that may be imported from"):
        ImportFolders((shared,)).path(text.format(shared))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("relative.fasta", "start with a slash"),
        ("{}/none.fasta", "does not exist"),
        ("{}/\0", "is no path"),
        ("~no-such-user/model", "is no path"),
    ],
)
def test_a_wrong_path_gets_a_sentence(shared: Path, text: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        ImportFolders((shared,)).path(text.format(shared))


def test_links_inside_a_folder_do_not_lead_out(shared: Path, tmp_path: Path) -> None:
    names = [file.name for file in sample_files([shared], [shared])]
    assert names == ["again.fasta", "open.fasta"]
    report = ingest([shared], tmp_path / "dataset", IngestOptions(), within=[shared])
    assert [file.name for file in report.files] == ["again.fasta", "open.fasta"]
    assert any("out.fasta leads out" in note for note in report.notes)
    with pytest.raises(InputError, match="leads out"):
        ingest([shared / "out.fasta"], tmp_path / "other", IngestOptions(), within=[shared])
    assert len(ingest([shared], tmp_path / "all", IngestOptions()).files) == 3


def test_settings_name_folders_as_path_does(shared: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BIOPRUNE_IMPORT_FOLDERS", f"{shared}:{shared}/away: ")
    assert Settings().import_roots == (shared, shared.parent / "secret")
    monkeypatch.setenv("BIOPRUNE_IMPORT_FOLDERS", "data")
    with pytest.raises(ValidationError, match="no absolute path"):
        Settings()
