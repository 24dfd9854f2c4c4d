"""Read a file that an untrusted program wrote, without following it anywhere."""

import os
import stat
from pathlib import Path
from xml.etree.ElementTree import Element, ParseError

from defusedxml.ElementTree import fromstring

_XML_BYTES = 16 * 1024 * 1024


class Unreadable(Exception):
    """A file that cannot be used; the sentence says why."""


def regular_bytes(path: Path, limit: int) -> bytes:
    """At most `limit` + 1 bytes of a regular file; never of a link, pipe or device. Raises Unreadable."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        raise Unreadable(f"{path.name} cannot be opened: {error.strerror}") from error
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise Unreadable(f"{path.name} is no regular file")
        return file.read(limit + 1)


def xml_root(path: Path) -> tuple[Element, bytes]:
    """The root element of an XML file, and the file's bytes; entities are refused. Raises Unreadable."""
    content = regular_bytes(path, _XML_BYTES)
    if len(content) > _XML_BYTES:
        raise Unreadable(f"{path.name} is larger than {_XML_BYTES // 2**20} MiB")
    try:
        return fromstring(content), content
    except (ParseError, ValueError, LookupError) as error:  # ValueError: defusedxml's refusals
        raise Unreadable(f"{path.name} is not XML that can be read: {error}") from error


def local_name(element: Element) -> str:
    """The tag without its namespace."""
    return element.tag.rpartition("}")[2]
