"""The MLP's dense run, at the paper's settings."""

from configs.base import MLPConfig

config = MLPConfig()
