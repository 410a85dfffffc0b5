"""The baseline that the paper leaves out: how soon a dense MLP generalizes when learning rate and weight decay are tuned."""

from configs.base import MLPConfig
from configs.sweep import Sweep

sweep = Sweep(
    base=MLPConfig(num_epochs=10_000),
    axes={"lr": [1e-3, 3e-3, 1e-2, 3e-2, 1e-1], "weight_decay": [1.0, 3.0, 8.0, 16.0]},
)
