"""Exit statuses of the programs; what started them can tell from it what to do."""

USER_ERROR = 2
"""A mistake of the user, or something that the user has to see to, such as a full disk;
one line on standard error says what. (A defect of a program exits with 1.)"""

PEER_LOST = 75
"""Another worker of the group is gone: start all of them again, and they go on from the
last checkpoint. (`EX_TEMPFAIL` of sysexits.h.)"""

INTERRUPTED = 130
"""Ctrl-C (128 + SIGINT, as shells have it); what there was is saved."""

TERMINATED = 143
"""SIGTERM (128 + SIGTERM); what there was is saved."""
