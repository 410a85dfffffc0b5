"""studies/headline's two best settings are those that studies/tuned finds, on other seeds."""

import pytest

from reporting.study import Study
from reporting.tables import threshold_of, winner


@pytest.mark.parametrize(
    ("found_in", "used_in", "axes"),
    [
        ("the dense network", "MLP, dense network at its best setting", ["lr", "weight_decay"]),
        ("the ticket", "MLP, ticket at its best setting", ["retrain_lr", "retrain_weight_decay"]),
    ],
)
def test_the_headlines_best_settings_win_the_search_on_other_seeds(found_in, used_in, axes):
    search, fresh = Study("tuned").rows[found_in], Study("headline").rows[used_in]
    best = winner(search, axes, threshold_of(search))[0]
    assert {tuple(row) for row in fresh[axes].to_numpy()} == {tuple(best[name] for name in axes)}
    assert not {*fresh["seed"]} & {*search["seed"]}
