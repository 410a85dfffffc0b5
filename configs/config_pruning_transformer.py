"""The Transformer's ticket, at the paper's settings."""

from configs.base import TransformerTicketConfig

config = TransformerTicketConfig()
