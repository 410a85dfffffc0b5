"""Whether the norm alone explains the MNIST ticket: dense runs from smaller inits. At scale 5.4 the init's norm is the ticket's."""

from configs.base import MnistConfig
from configs.sweep import Sweep

sweep = Sweep(base=MnistConfig(num_epochs=15_000), axes={"weight_scale": [5.4, 4.0]}, seeds=(0, 1, 2))
