"""The Transformer's dense run, at the paper's settings."""

from configs.base import TransformerConfig

config = TransformerConfig()
