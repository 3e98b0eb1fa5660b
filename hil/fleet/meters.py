"""Pure: a rate over wall time, from a count that only grows within one process."""

WINDOW_S = 2.0


class Rate:
    """Takes (wall time, count) in order of time; a lower count (a counter that began anew) starts a new stretch."""

    def __init__(self) -> None:
        self._points: list[tuple[float, int]] = []
        self._peak = 0.0

    def note(self, wall_s: float, count: int) -> None:
        """One observation."""
        if self._points and count < self._points[-1][1]:
            self._points.clear()
        self._points.append((wall_s, count))
        for earlier_s, earlier in reversed(self._points):
            if wall_s - earlier_s >= WINDOW_S:
                self._peak = max(self._peak, (count - earlier) / (wall_s - earlier_s))
                break

    def peak(self) -> float:
        """The highest rate over a window of at least WINDOW_S."""
        return self._peak

    def mean(self) -> float:
        """From the first observation of the last stretch to the first one with the final count."""
        if not self._points:
            return 0.0
        (begin_s, begin), (_, end) = self._points[0], self._points[-1]
        reached_s = next(wall_s for wall_s, count in self._points if count == end)
        return (end - begin) / (reached_s - begin_s) if reached_s > begin_s else 0.0
