"""What ends a draw that makes no mixture, so that another one is tried."""


class Refused(Exception):
    """This draw does not make a mixture; the message is the reason, for counting."""
