"""A request has to be complete in time, however it trickles in."""


class Answered:
    """A request that is answered when the test says so."""

    def __init__(self, channel, queued):
        self.channel = channel

    def __getattr__(self, name):
        return lambda *args, **options: None
