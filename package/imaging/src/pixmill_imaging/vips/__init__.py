"""The one home of pyvips: the loader that is there with the extra ``[vips]``."""
