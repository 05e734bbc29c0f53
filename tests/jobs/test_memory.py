from voxloom.jobs.memory import keep_freed_memory


def test_keeping_memory_never_fails():
    assert keep_freed_memory() in (True, False)
