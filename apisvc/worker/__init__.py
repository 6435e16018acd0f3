"""Making it so, and keeping it so.

::

    feed ──> view ──> site.queue ──> reconcile ──> decide ──> driver
     ^    (what the     (one a       (one pass:     (pure:        |
     |     store says)   backend)     read, look,    a table)     |
     |        ^                       claim, act,                 v
     |        |                       commit)    <── outcome <── what is there
     |     resync (what the backend            |     (pure: the status)
     |     says of itself, and once in         v
     +──── a while all that it has)         commits ──> store

A **pass** over an instance reads it afresh, looks at the backend, and takes
the one row of :mod:`~apisvc.worker.table` that fits. If that
means calling the driver, a first commit takes the claim and moves the state
together, and a last one records the result and releases the claim together:
two commits for a create. In between the instance may wait; the claim is kept.

Each commit is guarded by the revision of the instance that was decided on and
by the claim, and the claim is bound to the lease of the worker
(:mod:`~apisvc.worker.membership`). So a worker that is late, cut off or as good
as dead writes nothing, and when its lease ends the others go on from what the
backend shows. Nothing is remembered that could not be found again by looking.

Every commit and driver call has a name and passes through
:mod:`~apisvc.worker.steps`, where tests make it fail. Beside the passes run
:mod:`~apisvc.worker.resync`, :mod:`~apisvc.worker.removal` (of tenants) and
:mod:`~apisvc.worker.collector` (of garbage). Each backend has a queue and
threads of its own: one that hangs costs the others nothing.
"""
