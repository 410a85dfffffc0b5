"""The ticket on MNIST, at the paper's settings."""

from configs.ticket import MnistTicketConfig

config = MnistTicketConfig()
