from __future__ import annotations

import inspect
import pickle
import re

import pytest

from voxloom import errors
from voxloom.errors import VoxloomError

CLASSES = [getattr(errors, name) for name in errors.__all__]


def test_all_errors_are_public():
    own = {name for name, value in vars(errors).items() if inspect.isclass(value)}
    assert own == set(errors.__all__)


@pytest.mark.parametrize("error", CLASSES)
def test_a_message_is_the_message_whatever_the_builtin(error):
    raised = error("no file 'a.tif'. Put it back.")
    assert str(raised) == "no file 'a.tif'. Put it back."
    assert str(error()) == error.__name__


@pytest.mark.parametrize("error", CLASSES)
def test_errors_travel_between_processes(error):
    travelled = pickle.loads(pickle.dumps(error("what")))
    assert (type(travelled), str(travelled)) == (error, "what")


def test_the_drawn_tree_is_the_real_one():
    drawn = dict(re.findall(r"[├└]── (\w+) +\((.+?)\)", errors.__doc__))
    inner = re.findall(r"│   [├└]── (\w+)", errors.__doc__)
    assert {"VoxloomError", *re.findall(r"[├└]── (\w+)", errors.__doc__)} == set(errors.__all__)
    for name, bases in drawn.items():
        real = [base.__name__ for base in getattr(errors, name).__mro__]
        assert set(bases.split(", ")) <= set(real), name
    assert all(issubclass(getattr(errors, name), errors.DataError) for name in inner)


@pytest.mark.parametrize("error", [e for e in CLASSES if e is not VoxloomError])
def test_each_error_is_also_the_builtin_that_one_would_catch(error):
    assert issubclass(error, VoxloomError)
    builtins = {base for base in error.__mro__ if base.__module__ == "builtins"}
    assert builtins - {Exception, BaseException, object}
