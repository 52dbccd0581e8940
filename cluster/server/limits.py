"""What callers may take: calls over time and streams at once, for each principal."""

import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from cluster.errors import LimitError
from cluster.server.config import Limits
from cluster.server.principals import LOCAL, Principal
from grouper.counted import counted

_STREAM_RETRY_SECONDS = 1.0
_PRINCIPALS = 65_536


class Gate:
    """Counts calls and streams. Used from the event loop only.

    Args:
        limits: of the settings.
        clock: seconds that never go back, so that a jump of the wall clock changes nothing.
    """

    def __init__(self, limits: Limits, clock: Callable[[], float] = time.monotonic) -> None:
        self.limits = limits
        self._clock = clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()
        self._streams: Counter[str] = Counter()

    @property
    def streams(self) -> int:
        """Streams at this moment."""
        return self._streams.total()

    def take_call(self, principal: Principal) -> None:
        """Counts a call.

        Raises:
            LimitError: the principal has used up its calls; says when the next one may come.
        """
        if principal is LOCAL:
            return
        rate, burst = self.limits.requests_per_second, self.limits.burst
        now = self._clock()
        left, then = self._buckets.pop(principal.name, (float(burst), now))
        left = min(burst, left + (now - then) * rate)
        if len(self._buckets) >= _PRINCIPALS:
            self._buckets.popitem(last=False)
        self._buckets[principal.name] = (left - 1 if left >= 1 else left, now)
        if left < 1:
            raise LimitError(
                f"more calls than {rate:g} a second",
                hint="wait, or send cases in batches by GroupBatch",
                retry_seconds=(1 - left) / rate,
            )

    @contextmanager
    def stream(self, principal: Principal) -> Iterator[None]:
        """Holds a place for one stream.

        Raises:
            LimitError: all places are taken.
        """
        own = self._streams[principal.name]
        # Whoever sits at the machine itself takes from the common places only.
        if principal is not LOCAL and own >= self.limits.streams_per_principal:
            raise LimitError(
                f"{principal.name} has {counted(own, 'stream')} open, more are not allowed",
                hint="end one first",
                retry_seconds=_STREAM_RETRY_SECONDS,
            )
        if self.streams >= self.limits.streams:
            raise LimitError(
                "the server has no place for another stream",
                hint="try again in a moment",
                retry_seconds=_STREAM_RETRY_SECONDS,
            )
        self._streams[principal.name] += 1
        try:
            yield
        finally:
            self._streams[principal.name] -= 1
            if not self._streams[principal.name]:
                del self._streams[principal.name]
