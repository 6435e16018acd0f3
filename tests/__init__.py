"""The test suite, for stestr."""

import signal

# A suite that was started in the background ignores Ctrl-C, and so would all that it starts, also those
# processes that a test ends by it.
signal.signal(signal.SIGINT, signal.default_int_handler)
