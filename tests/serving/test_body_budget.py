from __future__ import annotations

import asyncio

import pytest

from mlops.serving.body_budget import BodyBudget, NoRoomError

NEVER = 1000.0


def budget(
    total: int = 10, *, waiting: int = 5, patience: float = NEVER, contended: float = 0.0
) -> BodyBudget:
    return BodyBudget(total, waiting=waiting, patience=patience, contended=contended)


async def take(room: BodyBudget, size: int, taken: list[int], leave: asyncio.Event) -> None:
    async with room.reserved(size):
        taken.append(size)
        await leave.wait()


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


def test_bodies_wait_in_their_order_and_never_exceed_the_room() -> None:
    async def story() -> None:
        room, taken = budget(), []
        leave = [asyncio.Event() for _ in range(4)]
        tasks = [
            asyncio.create_task(take(room, size, taken, each))
            for size, each in zip((6, 5, 4, 1), leave, strict=True)
        ]
        await settle()
        assert (taken, room.free) == ([6], 4)  # the 4 would fit, but the 5 was there before
        leave[0].set()
        await settle()
        assert (taken, room.free) == ([6, 5, 4, 1], 0)
        for each in leave:
            each.set()
        await asyncio.gather(*tasks)
        assert room.free == 10

    asyncio.run(story())


def test_more_than_may_wait_are_turned_away() -> None:
    async def story() -> None:
        room, taken, leave = budget(waiting=1), [], asyncio.Event()
        tasks = [asyncio.create_task(take(room, 10, taken, leave)) for _ in range(2)]
        await settle()
        with pytest.raises(NoRoomError):
            async with room.reserved(1):
                pass
        leave.set()
        await asyncio.gather(*tasks)
        assert room.free == 10

    asyncio.run(story())


def test_one_that_waited_too_long_is_turned_away_and_takes_nothing() -> None:
    async def story() -> None:
        room = budget(patience=0.0)
        async with room.reserved(10):
            with pytest.raises(NoRoomError):
                async with room.reserved(1):
                    pass
        assert room.free == 10

    asyncio.run(story())


def test_a_client_that_leaves_while_it_waits_takes_nothing_and_lets_others_pass() -> None:
    async def story() -> None:
        room, taken, leave = budget(), [], asyncio.Event()
        first = asyncio.create_task(take(room, 8, taken, leave))
        await settle()
        second = asyncio.create_task(take(room, 10, taken, leave))
        third = asyncio.create_task(take(room, 2, taken, leave))
        await settle()
        second.cancel()
        await settle()
        assert taken == [8, 2]
        leave.set()
        await asyncio.gather(first, third)
        assert room.free == 10

    asyncio.run(story())


def test_a_slow_body_makes_way_once_another_waits() -> None:
    async def slow(room: BodyBudget) -> str:
        async with room.reserved(10):
            try:
                async with room.arriving(NEVER):
                    await asyncio.Event().wait()
            except TimeoutError:
                return "made way"
        return "arrived"

    async def story() -> None:
        room, taken, leave = budget(), [], asyncio.Event()
        holder = asyncio.create_task(slow(room))
        await settle()
        assert not holder.done()  # nobody waits
        leave.set()
        await take(room, 1, taken, leave)
        assert (await holder, taken, room.free) == ("made way", [1], 10)

    asyncio.run(story())


def test_a_body_that_comes_while_another_waits_must_be_as_quick() -> None:
    async def story() -> None:
        room, taken, leave = budget(), [], asyncio.Event()
        first = asyncio.create_task(take(room, 10, taken, leave))
        await settle()
        waiter = asyncio.create_task(take(room, 1, taken, leave))
        await settle()
        with pytest.raises(TimeoutError):
            async with room.arriving(NEVER):
                await asyncio.Event().wait()
        leave.set()
        await asyncio.gather(first, waiter)

    asyncio.run(story())
