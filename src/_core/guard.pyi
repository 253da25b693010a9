class Guard:
    """Calls of users' Python code, one inside the other or one after the other."""

    @property
    def time_limit_s(self) -> float:
        """Wall-clock time of one outermost call."""

    def interrupt_if_late(self) -> None:
        """End the call that runs if it runs for longer than its limit. Called by the watchdog, now and then."""
