"""Lists of pictures that others publish, from bytes to what is in them."""

from pixmill_imaging.domain.feeds.found import FeedError, Found, Gathered
from pixmill_imaging.domain.feeds.json_lists import read_json_list
from pixmill_imaging.domain.feeds.url_lists import read_url_list
from pixmill_imaging.domain.feeds.xml_feeds import read_xml_feed

__all__ = ["FeedError", "Found", "Gathered", "read_json_list", "read_url_list", "read_xml_feed"]
