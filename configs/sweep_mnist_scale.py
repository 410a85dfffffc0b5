"""Whether norm alone explains the MNIST ticket: dense runs from smaller inits. At scale 5.4 the init has the norm of the ticket's."""

from configs.base import MnistConfig
from configs.sweep import Sweep

sweep = Sweep(base=MnistConfig(num_epochs=15_000), axes={"weight_scale": [4.0, 5.4]}, seeds=(0,))
