"""The ticket on MNIST, at the paper's settings."""

from configs.base import MnistTicketConfig

config = MnistTicketConfig()
