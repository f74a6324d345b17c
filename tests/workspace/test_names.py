import unicodedata

import pytest

from bioprune_core.errors import ConflictError, InputError, NotFoundError
from bioprune_core.workspace import Workspace, check_name, free_name, new_id
from bioprune_core.workspace.names import NAME_LIMIT


@pytest.mark.parametrize(
    "name", ["Rfam 14.2", "tRNA (human) v1+2", "Überbau", "日本", "a" * 100, "ü" * 100, "日" * 66]
)
def test_ordinary_names_are_kept(name: str) -> None:
    assert check_name(f"  {name} ") == name


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("日" * 100, "takes 300 bytes; at most 200"),
        ("experiment-20261123-141502-4f2a9c", "looks like an identifier"),
        ("", "empty"),
        ("   ", "empty"),
        ("a" * 101, "101 characters"),
        ("a/b", "contains /"),
        ("a\nb", "U+000A"),
        ("\udc80", "U+DC80"),
        ("../x", "contains /"),
        (".hidden", 'begins with "."'),
        ("-rf", 'begins with "-"'),
        ("run-20261123-141502-4f2a9c", "looks like an identifier"),
    ],
)
def test_wrong_names_are_refused_with_the_reason(name: str, says: str) -> None:
    with pytest.raises(InputError, match="name") as caught:
        check_name(name)
    assert says in caught.value.message


def test_identifiers_sort_by_time_and_do_not_collide() -> None:
    assert len({new_id("run") for _ in range(1_000)}) == 1_000


def test_names_are_unique_without_regard_to_case(workspace: Workspace) -> None:
    workspace.create_project("Rfam")
    with pytest.raises(ConflictError, match='already a project named "rfam"'):
        workspace.create_project("rfam")


def test_things_are_found_by_name_and_by_id(workspace: Workspace) -> None:
    project = workspace.create_project("Rfam")
    assert workspace.project("rFAM") == project
    assert workspace.project(project.id) == project
    with pytest.raises(NotFoundError, match="There are: Rfam"):
        workspace.project("other")


def test_a_name_in_two_projects_needs_the_project(workspace: Workspace) -> None:
    one, two = workspace.create_project("one"), workspace.create_project("two")
    first = workspace.add_model(one, "model", "esm2")
    second = workspace.add_model(two, "model", "esm2")
    assert workspace.model("model", one) == first
    assert workspace.model("model", "two") == second
    with pytest.raises(ConflictError, match="2 projects") as caught:
        workspace.model("model")
    assert first.id in caught.value.message


def test_renaming_keeps_id_and_refuses_taken_names(workspace: Workspace) -> None:
    one, two = workspace.create_project("one"), workspace.create_project("two")
    assert workspace.rename(one, "eins").id == one.id
    assert workspace.rename(one, "EINS").name == "EINS"
    with pytest.raises(ConflictError, match="already"):
        workspace.rename(two, "eins")


def test_a_free_name_is_numbered_where_something_has_it() -> None:
    assert free_name("pool", []) == "pool"
    assert free_name("pool", ["Pool", "pool 3"]) == "pool 2"
    assert free_name("pool", ["pool", "POOL 2"]) == "pool 3"
    composed, decomposed = unicodedata.normalize("NFC", "Zürich"), unicodedata.normalize("NFD", "Zürich")
    assert free_name(composed, [decomposed]) == f"{composed} 2"
    for longest in ("a" * NAME_LIMIT, "序" * 60):
        numbered = free_name(longest, [longest])
        assert numbered.endswith(" 2")
        assert check_name(numbered) == numbered
