"""How a device is spelled in a configuration; whether a machine has it is known where the work is done."""

import re

from bioprune_core.errors import InputError

__all__ = ["check_device"]

_SPELLING = re.compile(r"auto|cpu|cuda(:(0|[1-9]\d*))?", re.ASCII)


def check_device(name: str) -> str:
    """The name, where it is one of "auto", "cpu", "cuda", "cuda:0", "cuda:1", ...

    Raises:
        InputError: It is none of them.
    """
    if not _SPELLING.fullmatch(name):
        raise InputError(
            f'BioPrune does not compute on the device "{name}". Choose auto, cpu, cuda or cuda:0, cuda:1, ...'
        )
    return name
