"""Where a task's files are, and their text."""

import tarfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from bioprune_core.errors import InputError, MissingFileError
from bioprune_core.sequences.fasta import read_fasta
from bioprune_core.sequences.source import Limits, Source
from bioprune_core.tasks.task import Part

__all__ = ["Folder", "read_first_line", "read_headers", "read_text"]

_ENDINGS = ("", ".gz", ".bz2", ".xz", ".zst")
_PIECE = 1 << 20
# Of one file: the largest original, a table of 300,000 sequences, has 60 MB.
_MAXIMUM_BYTES = 4 << 30
_MAXIMUM_RATIO = 1000.0


class Folder:
    """A folder of task data; files may be packed, and may lie one folder deeper.

    Args:
        path: The folder.

    Raises:
        MissingFileError: There is no such folder.
    """

    def __init__(self, path: Path) -> None:
        if not path.is_dir():
            raise MissingFileError(
                f"There is no folder {path} with a task's data. Give the folder of its files."
            )
        self.path = path

    def file(self, *names: str) -> Path | None:
        """The first of these files that is there, packed or not; None where there is none.

        Raises:
            InputError: Several folders below have one.
        """
        for name in names:
            found = [path for ending in _ENDINGS if (path := self.path / (name + ending)).is_file()]
            if not found:
                found = [path for ending in _ENDINGS for path in self.path.glob(f"*/{name}{ending}")]
            if len(found) > 1:
                shown = ", ".join(str(path.relative_to(self.path)) for path in sorted(found))
                raise InputError(f"{self.path} has several files {name}: {shown}. Give the folder of one.")
            if found:
                return found[0]
        return None

    def folder(self, name: str) -> Path | None:
        """The folder of this name; None where there is none.

        Raises:
            InputError: Several folders below have one.
        """
        if (self.path / name).is_dir():
            return self.path / name
        found = sorted(path for path in self.path.glob(f"*/{name}") if path.is_dir())
        if len(found) > 1:
            shown = ", ".join(str(path.relative_to(self.path)) for path in found)
            raise InputError(f"{self.path} has several folders {name}: {shown}. Give the folder of one.")
        return found[0] if found else None

    def parts(self, names: Mapping[Part, Sequence[str]]) -> dict[Part, Path]:
        """The file of each part, packed or not, or the folder of its files, all beside those to train on.

        Args:
            names: Of files, and of folders with what is in them: "train/*.bpseq". Of each part the first
                counts that is there.

        Raises:
            InputError: Several folders have what to train on, or another part lies elsewhere.
        """
        bases = self._bases(names[Part.TRAIN])
        if not bases:
            return {}
        if len(bases) > 1:
            shown = ", ".join(str(base.relative_to(self.path)) for base in bases)
            raise InputError(
                f"{self.path} has data to train on in several folders: {shown}. Give the folder of one."
            )
        found = {}
        for part, wanted in names.items():
            if path := Folder(bases[0])._lying(wanted):
                found[part] = path
            elif elsewhere := self._bases(wanted):
                raise InputError(
                    f"{self.path} has the data to train on in {bases[0]} and the {part.value} part in "
                    f"{elsewhere[0]}. Put what belongs together into one folder, and give that."
                )
        return found

    def _bases(self, names: Sequence[str]) -> list[Path]:
        """The folder itself where it has one of these, otherwise all folders below that have."""
        if self._lying(names):
            return [self.path]
        found = {
            path.parents[name.count("/")]
            for name in names
            for ending in _ENDINGS
            for path in self.path.glob(f"*/{name}{ending}")
            if path.is_file()
        }
        return sorted(found)

    def _lying(self, names: Sequence[str]) -> Path | None:
        """The first of these that lies in the folder itself."""
        for name in names:
            found = {
                self.path / path.relative_to(self.path).parts[0]
                for ending in _ENDINGS
                for path in self.path.glob(name + ending)
                if path.is_file()
            }
            if len(found) > 1:
                shown = ", ".join(path.name for path in sorted(found))
                raise InputError(f"{self.path} has several files {name}: {shown}. Keep one.")
            if found:
                return found.pop()
        return None

    def members(self, name: str, ending: str) -> Iterator[tuple[str, str]]:
        """Stem and text of every file with an ending in a folder, or in the tar file of that name."""
        if (folder := self.folder(name)) is not None:
            for path in sorted(folder.iterdir()):
                if path.is_file() and _is_member(path.name, ending):
                    yield path.name.removesuffix(ending), _decoded(path.read_bytes(), path)
            return
        packed = self.file(f"{name}.tar")
        if packed is None:
            return
        try:
            with tarfile.open(packed) as archive:
                for member in archive:
                    path = Path(member.name)
                    file = archive.extractfile(member) if member.isfile() else None
                    if file is not None and _is_member(path.name, ending):
                        yield path.name.removesuffix(ending), _decoded(file.read(), packed / path)
        except (tarfile.TarError, OSError, EOFError) as error:
            raise InputError(f"{packed} is damaged. Fetch it again.", str(error)) from error


def read_text(path: Path) -> str:
    """The text of a file, packed or not.

    Raises:
        InputError: It cannot be read or unpacked, or is no text.
    """
    with Source(path, path.name, Limits(_MAXIMUM_BYTES, _MAXIMUM_RATIO)) as source:
        data = b"".join(iter(lambda: source.read(_PIECE), b""))
    return _decoded(data, path)


def read_first_line(path: Path) -> str:
    """The first line of a file, packed or not.

    Raises:
        InputError: It cannot be read or unpacked, is no text, or the line has more than a million letters.
    """
    data = b""
    with Source(path, path.name, Limits(_MAXIMUM_BYTES, _MAXIMUM_RATIO)) as source:
        while b"\n" not in data and (piece := source.read(_PIECE)):
            data += piece
            if len(data) > 2 * _PIECE:
                break
    line = data.partition(b"\n")[0].removesuffix(b"\r")
    if len(line) > _PIECE:
        raise InputError(f"{path} is no table: its first line has more than {_PIECE:,} letters.")
    return _decoded(line, path)


def read_headers(path: Path) -> list[tuple[str, str, str]]:
    """First word of the header, the rest of it, and letters as written, of every record of a FASTA file.

    Raises:
        InputError: The file cannot be read or is no FASTA.
    """
    found = []
    with Source(path, path.name, Limits(_MAXIMUM_BYTES, _MAXIMUM_RATIO)) as source:
        for block in read_fasta(source):
            columns = (block.ids.tolist(), block.descriptions.tolist(), block.letters.tolist())
            found += [
                (name.decode(), rest.decode(), letters.decode())
                for name, rest, letters in zip(*columns, strict=True)
            ]
    return found


def _is_member(name: str, ending: str) -> bool:
    """Hidden files are those that a system leaves: .DS_Store, and ._name in tar files."""
    return name.endswith(ending) and not name.startswith(".")


def _decoded(data: bytes, path: Path) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is no text in UTF-8. Save it as such.", str(error)) from error
