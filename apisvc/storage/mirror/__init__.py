"""A read cache that is as current as the store itself.

:mod:`.store` is the Store that the rest sees, :mod:`.follower` keeps the copy,
:mod:`.gate` asks how new it must be, :mod:`.records` is the copy. Why reads
from it are linearizable is said in :mod:`.gate`.
"""
