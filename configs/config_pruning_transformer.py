"""The Transformer's ticket, at the paper's settings."""

from configs.ticket import TransformerTicketConfig

config = TransformerTicketConfig()
