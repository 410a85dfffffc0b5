"""The dense run on MNIST, at the paper's settings."""

from configs.base import MnistConfig

config = MnistConfig()
