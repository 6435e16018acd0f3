"""The ``apisvc`` command line: the REST API at the prompt.

``app.py`` is the program, ``settings.py`` whom to talk to, ``exits.py`` what
goes wrong and how it is said, ``base.py`` what commands are made of; then one
file a resource. Commands are entry points of the group ``apisvc.cli``, so
another package can bring more.

PERF: every module here is imported at each start. Whatever is slow
(``apisvc.client`` and the HTTP library below it) is imported where it is used.
"""
