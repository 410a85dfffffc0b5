"""What is learned from: one file a task."""

from common.choices import classes_below
from data.task import Task

TASKS = classes_below(__name__, __path__, Task)
