"""The MLP's ticket, at the paper's settings."""

from configs.ticket import MLPTicketConfig

config = MLPTicketConfig()
