import pickle

import pytest

from voxloom.keys import Keys

LETTERS = "abcdefghijkl"


def test_they_are_a_sequence_of_what_is_looked_up():
    asked = []
    keys = Keys(len(LETTERS), lambda i: asked.append(i) or LETTERS[i])
    assert keys[3] == "d"
    assert keys[-1] == "l"
    assert asked == [3, 11]  # nothing else was looked up
    assert keys[2:5] == ["c", "d", "e"]
    assert list(keys) == list(LETTERS)
    assert keys.index("f") == 5
    assert "z" not in keys
    assert repr(keys) == "<12 keys, from 'a' to 'l'>"
    for index in (12, -13):
        with pytest.raises(IndexError, match=f"key {index} of 12"):
            keys[index]


def test_they_equal_what_holds_the_same():
    keys = Keys(3, LETTERS.__getitem__, lambda: LETTERS[:3])
    assert keys == ["a", "b", "c"]
    assert keys == ["a", "b", "c"]
    assert keys != ["a", "b"]
    assert keys != "abc"
    assert repr(keys) == "['a', 'b', 'c']"
    assert pickle.loads(pickle.dumps(Keys(3, LETTERS.__getitem__)))[1] == "b"
