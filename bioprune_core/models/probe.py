"""A byte table from any tokeniser of single letters, by asking the tokeniser."""

import string
from pathlib import Path
from typing import Any

from transformers import AutoTokenizer

from bioprune_core.alphabet import Alphabet
from bioprune_core.errors import ModelError
from bioprune_core.models.tokeniser import ByteTokeniser

__all__ = ["probe_tokeniser"]

_LETTERS = string.ascii_letters + string.digits + "*-.|~?"


def probe_tokeniser(directory: Path) -> tuple[ByteTokeniser, Alphabet]:
    """Read the tokeniser of a folder.

    Every letter is tokenised alone; then a sequence of all residues must give the same ids between one cls
    and one eos token, with or without blanks between the letters (ProtBert wants blanks).

    Returns:
        The byte table, and the alphabet whose residues it knows: protein, else RNA, else DNA.

    Raises:
        ModelError: It is no tokeniser of single letters, or knows none of the three alphabets.
    """
    tokeniser = _load(directory)
    special_ids = _special_ids(tokeniser, directory)
    letters = {}
    for letter in _LETTERS:
        ids = _encode(tokeniser, letter)
        if len(ids) == 3 and ids[1] != special_ids["unknown"]:
            letters[letter] = ids[1]
    alphabet = _alphabet(letters, directory)
    residues = list(alphabet.residues * 2)
    expected = [special_ids["cls"], *(letters[letter] for letter in residues), special_ids["eos"]]
    spaced = _encode(tokeniser, "".join(residues)) != expected
    if spaced and _encode(tokeniser, " ".join(residues)) != expected:
        raise ModelError(
            f"The tokeniser in {directory} does not give one token a letter between one opening and one "
            "closing token. BioPrune scores models of single residues, not of k-mers or word pieces."
        )
    unknown = next((letter for letter in _LETTERS if letter not in letters), None)
    fuses = False
    if unknown is not None and not spaced:
        fuses = len(_encode(tokeniser, unknown * 2)) < 4
    vocabulary = _vocabulary(tokeniser)
    return ByteTokeniser.from_letters(
        vocabulary, letters, special_ids, alphabet, fuses_unknown=fuses
    ), alphabet


def _load(directory: Path) -> Any:
    library: Any = AutoTokenizer
    try:
        return library.from_pretrained(directory, trust_remote_code=False, local_files_only=True)
    except (OSError, ValueError, KeyError, ImportError) as error:
        raise ModelError(
            f"Could not load the tokeniser in {directory}: {str(error).splitlines()[0]}. It must be of a "
            "class that the installed transformers library has itself.",
            detail=str(error),
        ) from error


def _special_ids(tokeniser: Any, directory: Path) -> dict[str, int]:
    ends = _encode(tokeniser, "")
    found = {
        "cls": ends[0] if len(ends) == 2 else None,
        "eos": ends[-1] if len(ends) == 2 else None,
        "pad": tokeniser.pad_token_id,
        "mask": tokeniser.mask_token_id,
        "unknown": tokeniser.unk_token_id,
    }
    missing = [role for role, index in found.items() if index is None]
    if missing:
        raise ModelError(
            f"The tokeniser in {directory} has no {', '.join(missing)} token. A masked language model needs "
            "a token before and one after each sequence, and pad, mask and unknown tokens."
        )
    return {role: index for role, index in found.items() if index is not None}


def _alphabet(letters: dict[str, int], directory: Path) -> Alphabet:
    for alphabet in (Alphabet.PROTEIN, Alphabet.RNA, Alphabet.DNA):
        if all(letter in letters for letter in alphabet.residues):
            return alphabet
    raise ModelError(
        f"The tokeniser in {directory} knows the residues of no alphabet (protein, RNA or DNA), only "
        f"{''.join(sorted(letters)) or 'no single letters'}."
    )


def _encode(tokeniser: Any, text: str) -> list[int]:
    ids: list[int] = tokeniser(text)["input_ids"]
    return ids


def _vocabulary(tokeniser: Any) -> list[str]:
    ids: dict[str, int] = tokeniser.get_vocab()
    vocabulary = [""] * (1 + max(ids.values()))
    for token, index in ids.items():
        vocabulary[index] = token
    return vocabulary
