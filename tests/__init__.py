"""The test suite, for stestr."""

import signal

import hypothesis

# A suite that was started in the background ignores Ctrl-C, and so would all that it starts, also those
# processes that a test ends by it.
signal.signal(signal.SIGINT, signal.default_int_handler)

# How long a case takes says something of the machine, not of the code.
hypothesis.settings.register_profile(
    "apisvc", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("apisvc")
