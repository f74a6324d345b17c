import platform

import numpy as np
import psutil
import pytest

from bioprune_core.heap import trim_heap


@pytest.mark.skipif(
    platform.libc_ver()[0] != "glibc", reason="other C libraries give memory back by themselves"
)
def test_what_was_freed_between_blocks_in_use_goes_back_to_the_system() -> None:
    process = psutil.Process()
    # Below the size from which blocks are the system's own, so that they lie in the heap.
    blocks = [np.ones(12_000) for _ in range(2_000)]
    kept = blocks[::10]
    del blocks
    before = process.memory_info().rss
    trim_heap()
    assert process.memory_info().rss < before - (100 << 20)
    assert all(block.sum() == 12_000 for block in kept)
