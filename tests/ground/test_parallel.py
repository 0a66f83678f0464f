"""Work on several threads: in order, lazily, and an error where it belongs."""

import threading
import time

import pytest

from fcnbench.ground.parallel import cores, ordered


@pytest.mark.parametrize("together", [1, 3, 50])
def test_results_come_in_order_whoever_is_first(together: int) -> None:
    def work(number: int) -> int:
        time.sleep(0.002 if number % 5 == 0 else 0)
        return number * number

    assert list(ordered(work, range(40), 4, together)) == [number * number for number in range(40)]
    assert list(ordered(work, [], 4, together)) == []


def test_items_are_taken_a_few_at_a_time() -> None:
    taken = []
    results = ordered(lambda number: number, (taken.append(number) or number for number in range(1000)), 2)
    assert next(results) == 0
    assert len(taken) < 20
    results.close()


def test_an_error_comes_in_its_items_place_and_the_threads_end() -> None:
    def work(number: int) -> int:
        if number == 7:
            raise ValueError("seven")
        return number

    results = ordered(work, range(100), 3)
    assert [next(results) for _ in range(7)] == list(range(7))
    with pytest.raises(ValueError, match="seven"):
        next(results)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("fcnbench-work")]


def test_several_threads_work_at_once() -> None:
    barrier = threading.Barrier(3, timeout=30)
    list(ordered(lambda number: barrier.wait(), range(3), 3))
    assert cores() >= 1
