"""What learns: one file a network."""

from common.choices import classes_below
from models.model import Model

MODELS = classes_below(__name__, __path__, Model)
