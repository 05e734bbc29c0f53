"""Every error that voxloom raises on purpose.

Each class is also the builtin that a caller would expect to catch::

    VoxloomError
    ├── ConfigError        (ValueError)         a configuration that cannot be meant
    ├── UnknownNameError   (ConfigError, KeyError)   a name that no table holds
    ├── SchemaError        (ValueError)         samples, fields or shapes that do not fit together
    ├── DataError          (ValueError)         a file or a folder that cannot be used as it is
    │   ├── MissingDataError  (FileNotFoundError)   nothing there, or nothing of the expected kind
    │   ├── PairingError                        images without a partner
    │   ├── UnreadableImageError  (OSError)     truncated, empty or of an unknown format
    │   ├── DamagedStoreError (OSError)         a manifest or a shard that is not what was written
    │   ├── UnfinishedStoreError  (FileNotFoundError)   a store whose conversion has not ended
    │   ├── VolumeMetadataError                 OME-NGFF metadata that are wrong, or say too little
    │   └── VolumeReadError   (OSError)         a chunk or a region of a volume that cannot be read
    ├── CheckpointError    (ValueError)         a checkpoint that does not fit the model or the run
    ├── OutputExistsError  (FileExistsError)    an output folder that already holds something
    ├── SaveError          (OSError)            a file that could not be written whole
    ├── DivergedError      (ArithmeticError)    a loss or a gradient that is not finite
    ├── DistributedError   (RuntimeError)       ranks that could not be brought together
    ├── LoadingError       (RuntimeError)       a worker process that died while reading
    ├── MissingExtraError  (ImportError)        an optional package that is not installed
    ├── CompatError        (ImportError)        a part of an older system that has no adapter
    └── Interrupted        (KeyboardInterrupt)  stopped by the user; the state is saved

A message says what, the value, what was expected, and the cure.
"""

from __future__ import annotations

__all__ = [
    "CheckpointError",
    "CompatError",
    "ConfigError",
    "DamagedStoreError",
    "DataError",
    "DistributedError",
    "DivergedError",
    "Interrupted",
    "LoadingError",
    "MissingDataError",
    "MissingExtraError",
    "OutputExistsError",
    "PairingError",
    "SaveError",
    "SchemaError",
    "UnfinishedStoreError",
    "UnknownNameError",
    "UnreadableImageError",
    "VolumeMetadataError",
    "VolumeReadError",
    "VoxloomError",
]


class VoxloomError(Exception):
    """Base of all errors that voxloom raises on purpose."""

    def __str__(self) -> str:
        # KeyError and OSError format their arguments in their own way; a message is a message.
        return str(self.args[0]) if self.args else type(self).__name__

    def __reduce__(self) -> tuple[object, ...]:
        # Said outright: the pickling of exceptions that Dask installs mistakes two builtins in one class.
        return type(self), self.args, self.__dict__


class ConfigError(VoxloomError, ValueError):
    """A configuration that cannot be meant."""


class UnknownNameError(ConfigError, KeyError):
    """A name that no table holds."""


class SchemaError(VoxloomError, ValueError):
    """Samples, fields or shapes that do not fit together."""


class DataError(VoxloomError, ValueError):
    """A file or a folder that cannot be used as it is."""


class MissingDataError(DataError, FileNotFoundError):
    """Nothing there, or nothing of the expected kind."""


class PairingError(DataError):
    """Images without a partner."""


class UnreadableImageError(DataError, OSError):
    """A truncated or empty image, or one of an unknown format."""


class DamagedStoreError(DataError, OSError):
    """A manifest or a shard that is not what was written."""


class UnfinishedStoreError(DataError, FileNotFoundError):
    """A store whose conversion has not ended."""


class VolumeMetadataError(DataError):
    """OME-NGFF metadata that are wrong, or say too little."""


class VolumeReadError(DataError, OSError):
    """A chunk or a region of a volume that cannot be read."""


class CheckpointError(VoxloomError, ValueError):
    """A checkpoint that does not fit the model or the run."""


class OutputExistsError(VoxloomError, FileExistsError):
    """An output folder that already holds something."""


class SaveError(VoxloomError, OSError):
    """A file that could not be written whole."""


class DivergedError(VoxloomError, ArithmeticError):
    """A loss or a gradient that is not finite."""


class DistributedError(VoxloomError, RuntimeError):
    """Ranks that could not be brought together."""


class LoadingError(VoxloomError, RuntimeError):
    """A worker process that died while reading."""


class MissingExtraError(VoxloomError, ImportError):
    """An optional package that is not installed."""


class CompatError(VoxloomError, ImportError):
    """A part of an older system that has no adapter, or cannot be replaced any more."""


class Interrupted(VoxloomError, KeyboardInterrupt):  # noqa: N818 - not a fault
    """Stopped by the user; the state is saved and the message says how to go on."""
