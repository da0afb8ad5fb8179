"""Ways to tell the people who run pixmill: one file each, behind the protocol ``Channel``."""

from pixmill_notifier.channels.message import Channel, Message

__all__ = ["Channel", "Message"]
