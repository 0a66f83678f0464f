"""Ordered maps over threads, and background workers."""

import threading

import pytest

from fcnbench.util.threads import BackgroundWorker, cores, map_ordered
from tests.waiting import wait_until_blocked


@pytest.mark.parametrize("group_size", [1, 3, 50])
def test_results_are_in_the_order_of_the_items(group_size: int) -> None:
    """The first group ends after the second one."""
    later = threading.Event()

    def work(number: int) -> int:
        if number == 0 and group_size < 40:
            assert later.wait(60)
        if number == group_size:
            later.set()
        return number * number

    assert list(map_ordered(work, range(40), 4, group_size)) == [number * number for number in range(40)]
    assert list(map_ordered(work, [], 4, group_size)) == []


def test_items_are_taken_a_few_at_a_time() -> None:
    taken = []
    results = map_ordered(lambda number: number, (taken.append(number) or number for number in range(1000)), 2)
    assert next(results) == 0
    assert len(taken) < 20
    results.close()


def test_an_error_is_raised_at_its_item_and_the_threads_end() -> None:
    def work(number: int) -> int:
        if number == 7:
            raise ValueError("seven")
        return number

    results = map_ordered(work, range(100), 3)
    assert [next(results) for _ in range(7)] == list(range(7))
    with pytest.raises(ValueError, match="seven"):
        next(results)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("fcnbench-work")]


def test_several_threads_run_at_once() -> None:
    barrier = threading.Barrier(3, timeout=30)
    list(map_ordered(lambda number: barrier.wait(), range(3), 3))
    assert cores() >= 1


def test_submitted_jobs_finish_in_order() -> None:
    done: list[int] = []
    released = threading.Event()

    def work(item: int) -> None:
        released.wait(10)
        done.append(item)

    with BackgroundWorker(work, depth=3) as worker:
        for item in range(3):
            worker.submit(item)
        assert done == []
        released.set()
        for item in range(3, 20):
            worker.submit(item)
    assert done == list(range(20))


def test_submit_blocks_while_too_many_jobs_wait() -> None:
    released = threading.Event()
    submitted: list[int] = []

    def submit_all() -> None:
        with BackgroundWorker(lambda _: released.wait(10), depth=2) as worker:
            for item in range(9):
                worker.submit(item)
                submitted.append(item)

    submitter = threading.Thread(target=submit_all)
    submitter.start()
    assert wait_until_blocked(submitter, lambda: len(submitted) >= 3)
    assert submitted == [0, 1, 2]
    released.set()
    submitter.join()
    assert len(submitted) == 9


def test_an_error_of_a_job_is_raised_once_and_the_other_jobs_finish() -> None:
    done: list[int] = []

    def work(item: int) -> None:
        if item == 1:
            raise ValueError("one")
        done.append(item)

    def submit_all() -> None:
        with BackgroundWorker(work, depth=5) as worker:
            for item in range(5):
                worker.submit(item)
            raise KeyError("of the block itself")

    with pytest.raises((ValueError, KeyError)):
        submit_all()
    assert done[0] == 0
    assert 1 not in done

    def submit_two() -> None:
        with BackgroundWorker(work, depth=5) as worker:
            worker.submit(1)
            worker.submit(7)

    with pytest.raises(ValueError, match="one"):
        submit_two()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("fcnbench")]
