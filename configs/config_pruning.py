"""The MLP's ticket, at the paper's settings."""

from configs.base import MLPTicketConfig

config = MLPTicketConfig()
