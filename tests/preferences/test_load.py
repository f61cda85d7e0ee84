"""Under load, and with the database restarted in the middle: no error but 503, and no act that was answered is lost."""

from benchmarks.door_load import door_under_load, load_door
from tests.sizes import sized
from tests.throwaway import server_directory


def test_no_act_that_was_answered_is_lost() -> None:
    seconds, rate, people = sized(2, 60), sized(40, 200), sized(200, 20_000)
    with server_directory() as directory, door_under_load(directory, people, is_durable=sized(0, 1) == 1) as door:
        load = load_door(door, per_second=rate, seconds=seconds)
        assert load.statuses.keys() == {200}, load.statuses
        broken = load_door(door, per_second=rate, seconds=seconds, restart_at_s=seconds / 2)
        assert broken.statuses.keys() <= {200, 503}, broken.statuses
        assert broken.statuses[200] > 0
        acted = [*load.acted, *broken.acted]
        assert acted and door.lost(acted) == 0
