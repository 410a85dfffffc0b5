"""The best setting that sweep_tuned_dense.py finds, on seeds that did not choose it."""

from configs.base import MLPConfig
from configs.sweep import Sweep

sweep = Sweep(base=MLPConfig(num_epochs=10_000), axes={"lr": [1e-2], "weight_decay": [8.0]}, seeds=(5, 6, 7, 8, 9))
