import numpy as np

from bioprune_core.embedding.landmarks import choose_landmarks


def scores(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    return random.lognormal(0, 2, count), random.integers(0, 1 << 64, count, dtype=np.uint64)


def test_all_are_landmarks_where_there_are_fewer_than_asked_for() -> None:
    influence, hashes = scores(10)
    assert choose_landmarks(influence, hashes, 10, 50, 0).tolist() == list(range(10))
    assert choose_landmarks(influence, hashes, 99, 50, 0).tolist() == list(range(10))
    assert choose_landmarks(influence[:0], hashes[:0], 4, 50, 0).tolist() == []


def test_the_number_asked_for_is_chosen_without_repetition() -> None:
    for count in (4, 100, 999):
        chosen = choose_landmarks(*scores(1000), count, 50, 0)
        assert len(chosen) == len(np.unique(chosen)) == count
        assert (np.diff(chosen) > 0).all()


def test_rare_large_influences_are_all_landmarks() -> None:
    influence, hashes = scores(100_000)
    chosen = choose_landmarks(influence, hashes, 5000, 50, 0)
    largest = np.argsort(influence)[-100:]
    assert np.isin(largest, chosen).mean() == 1


def test_the_choice_depends_on_hashes_and_seed_and_not_on_the_order() -> None:
    influence, hashes = scores(1000)
    order = np.random.default_rng(1).permutation(1000)
    chosen = choose_landmarks(influence, hashes, 100, 20, 7)
    shuffled = choose_landmarks(influence[order], hashes[order], 100, 20, 7)
    assert set(hashes[chosen]) == set(hashes[order][shuffled])
    assert set(hashes[chosen]) != set(hashes[choose_landmarks(influence, hashes, 100, 20, 8)])


def test_zero_and_equal_influences_are_accepted() -> None:
    _, hashes = scores(1000)
    for influence in (np.zeros(1000), np.full(1000, 3.0), np.r_[np.zeros(500), np.full(500, 1e-300)]):
        assert len(choose_landmarks(influence, hashes, 100, 50, 0)) == 100
