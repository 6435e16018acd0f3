"""The ``sqlite`` store: one file, shared by all processes of one host.

========================  ====================================================
:mod:`.store`             the driver: the contract's calls, in their order
:mod:`.watches`           its watches
:mod:`.leases`            its leases
:mod:`.process`           what one process holds of the store
:mod:`.database`          the file: connections, turns, deadlines, errors
:mod:`.layout`            the tables, and what makes a file ours
:mod:`.transactions`      what happens inside one write transaction
:mod:`.signals`           wakes the watches, of this process and of others
========================  ====================================================

Every version of a key is a row; a row that was replaced or deleted stays until
it is compacted. So reads of the past, watches from the past and compaction are
queries on one table.
"""
