"""Labs: the real servers that tests run against, on this machine alone."""
