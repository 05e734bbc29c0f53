"""Configuration: one strict schema for every task, read from JSON, YAML or TOML."""

from voxloom.config.files import load_config
from voxloom.config.schema import TASKS, Config, Sampling, Task

__all__ = ["TASKS", "Config", "Sampling", "Task", "load_config"]
