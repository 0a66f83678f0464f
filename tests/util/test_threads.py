"""Work on several threads: in order, lazily, and an error where it belongs."""

import threading
import time

import pytest

from fcnbench.util.threads import Behind, cores, ordered


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


def test_what_is_given_is_finished_in_order_behind_the_giver() -> None:
    done: list[int] = []
    released = threading.Event()

    def work(item: int) -> None:
        released.wait(10)
        done.append(item)

    with Behind(work, depth=3) as behind:
        for item in range(3):
            behind.give(item)
        assert done == []
        released.set()
        for item in range(3, 20):
            behind.give(item)
    assert done == list(range(20))


def test_a_giver_who_is_too_far_ahead_waits() -> None:
    released = threading.Event()
    given: list[int] = []

    def give_all() -> None:
        with Behind(lambda _: released.wait(10), depth=2) as behind:
            for item in range(9):
                behind.give(item)
                given.append(item)

    giver = threading.Thread(target=give_all)
    giver.start()
    while len(given) < 3:
        time.sleep(0.001)
    time.sleep(0.05)
    assert given == [0, 1, 2]
    released.set()
    giver.join()
    assert len(given) == 9


def test_an_error_behind_reaches_the_giver_once_and_the_rest_is_finished() -> None:
    done: list[int] = []

    def work(item: int) -> None:
        if item == 1:
            raise ValueError("one")
        done.append(item)

    def give_all() -> None:
        with Behind(work, depth=5) as behind:
            for item in range(5):
                behind.give(item)
            raise KeyError("the giver's own")

    with pytest.raises((ValueError, KeyError)):
        give_all()
    assert done[0] == 0
    assert 1 not in done

    def give_two() -> None:
        with Behind(work, depth=5) as behind:
            behind.give(1)
            behind.give(7)

    with pytest.raises(ValueError, match="one"):
        give_two()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("fcnbench")]
