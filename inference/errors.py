"""The one error that inference adds to the tree."""

from signalbox.errors import UpstreamDown


class ModelFault(UpstreamDown):
    """A model answered, but not with what was asked for: cut off, empty, or not valid."""

    code = "model_fault"
    status = 502
