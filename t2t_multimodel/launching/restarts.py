"""How often a group is started again, and after which wait."""

HEALTHY_SECONDS = 600.0
LONGEST_WAIT_SECONDS = 60.0


class Restarts:
    """Counts restarts in a row: those of a group that failed soon after the last one.

    A failure that comes back at once is given up after `max_restarts`; a machine that
    fails once a day does not end a run of a month.

    Args:
        max_restarts: Restarts in a row at most.

    Attributes:
        count: Restarts in a row so far.
    """

    def __init__(self, max_restarts: int) -> None:
        self.max_restarts = max_restarts
        self.count = 0

    def next_wait(self, ran_seconds: float) -> float | None:
        """Counts a failure.

        Args:
            ran_seconds: How long the group ran; from 10 minutes on, the count and the
                waits begin anew.

        Returns:
            Seconds to wait before the restart: 1, 2, 4 and so on to 60 at most;
            `None` if there is to be no other.
        """
        if ran_seconds >= HEALTHY_SECONDS:
            self.count = 0
        if self.count >= self.max_restarts:
            return None
        wait = min(2.0 ** min(self.count, 10), LONGEST_WAIT_SECONDS)
        self.count += 1
        return wait
