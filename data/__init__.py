"""What is learned from: one file a task. A new task is a class in a file of its own, and a place in this list."""

from data.mnist import Mnist
from data.modular import Modular
from data.operations import Operations
from data.own import Own, OwnNumbers, OwnPairs
from data.parity import Parity
from data.regression import Regression
from data.task import Task

TASKS: dict[str, type[Task]] = {
    task.name: task for task in (Modular, Mnist, Operations, Parity, Regression, Own, OwnNumbers, OwnPairs)
}
