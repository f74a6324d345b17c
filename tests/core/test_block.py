import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from bioprune_core.hashing import sequence_hash
from bioprune_core.sequences.block import SequenceBlock

rna = st.lists(st.text("ACGUN", max_size=30), min_size=1, max_size=20)


@given(sequences=rna, data=st.data())
def test_taking_rows_gives_those_sequences_in_that_order(sequences: list[str], data: st.DataObject) -> None:
    block = SequenceBlock.from_strings(sequences)
    rows = data.draw(st.lists(st.integers(0, len(sequences) - 1), max_size=30))
    taken = block.take(np.array(rows, dtype=np.int64))
    assert [taken.sequence(i) for i in range(len(taken))] == [sequences[row] for row in rows]
    assert taken.positions.tolist() == rows
    assert taken.hashes.tolist() == [sequence_hash(sequences[row].encode()) for row in rows]


@given(sequences=rna)
def test_lengths_are_letters_per_sequence(sequences: list[str]) -> None:
    assert SequenceBlock.from_strings(sequences).lengths.tolist() == [len(text) for text in sequences]
