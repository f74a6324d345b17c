"""What the heads on frozen features choose by the validation part, and what they do not."""

from dataclasses import replace

import numpy as np
import pytest
from trial_tasks import trial_task

from bioprune_core.alphabet import Alphabet
from bioprune_core.evaluation import ProbeSettings
from bioprune_core.evaluation.features import ResidueFeatures
from bioprune_core.evaluation.pair_probe import probe_pairs
from bioprune_core.evaluation.probe import probe_sequences
from bioprune_core.progress import Progress
from bioprune_core.tasks import Examples, Part, TargetKind, Task, TaskData, measure

Random = np.random.Generator
WIDTH = 40


def values_from(random: Random, noise: float) -> tuple[TaskData, dict[Part, np.ndarray]]:
    """A value that one of 40 features tells, but for noise, with 60 examples a part; and the features."""
    task = Task("trial", "Trial", Alphabet.RNA, TargetKind.VALUE, ("mse",), (), False)
    features = {part: random.normal(size=(60, WIDTH)).astype(np.float32) for part in Part}
    parts = {
        part: Examples(("A",) * 60, None, of[:, 0] + noise * random.normal(size=60), ("e",) * 60)
        for part, of in features.items()
    }
    return TaskData(task, parts, "Made for a test."), features


@pytest.mark.parametrize(("noise", "asked"), [(3.0, (1e-3, 1e-4)), (0.0, (10.0, 1.0))])
def test_a_penalty_at_the_end_of_those_asked_for_is_followed_beyond_it(
    random: Random, noise: float, asked: tuple[float, ...]
) -> None:
    data, features = values_from(random, noise)
    narrow = probe_sequences(data, features, ProbeSettings(strengths=asked), measure)
    decades = tuple(10.0**power for power in range(-8, 7))
    wide = probe_sequences(data, features, ProbeSettings(strengths=decades), measure)
    assert narrow.chosen["strength"] == pytest.approx(wide.chosen["strength"])
    assert not min(asked) <= narrow.chosen["strength"] <= max(asked)
    np.testing.assert_allclose(narrow.test, wide.test)


def test_no_penalty_is_tried_beyond_those_asked_for_where_the_best_lies_among_them(random: Random) -> None:
    data, features = values_from(random, 1.0)
    told: list[Progress] = []
    settings = ProbeSettings(strengths=(1e4, 0.3, 1e-7))
    found = probe_sequences(data, features, settings, measure, told.append)
    assert found.chosen["strength"] == 0.3
    assert [message.done for message in told] == [1, 2, 3]


def test_all_of_the_highest_contacts_count_however_weak_the_head(random: Random) -> None:
    data = trial_task(TargetKind.PAIRS, random)
    features = {
        part: ResidueFeatures(
            random.normal(size=(sum(map(len, examples.sequences)), 4)).astype(np.float32),
            np.cumsum([0, *map(len, examples.sequences)]),
        )
        for part, examples in data.parts.items()
    }
    settings = ProbeSettings(epochs=2, rank=4)
    ranked = replace(data, task=replace(data.task, metrics=("contact_precision_l",)))
    contacts = probe_pairs(ranked, features, settings, 0, measure)
    pairs = probe_pairs(data, features, settings, 0, measure)
    assert "logit_shift" in pairs.chosen
    assert "logit_shift" not in contacts.chosen
    for mine, same in zip(contacts.test, pairs.test, strict=True):
        assert (mine > 0.5).all()
        assert (np.diff(mine.ravel()[np.argsort(same, axis=None)]) >= -1e-6).all(), "in the same order"
