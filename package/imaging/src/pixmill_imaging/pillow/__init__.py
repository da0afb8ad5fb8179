"""The one home of PIL: the loader that is always there, the operations and the encoders."""
