"""Writes flags so that systemd hands them to the exporter as they were given."""

from __future__ import annotations

import re

QUOTED = r"\"[^\"]*\"|'[^']*'"
FLAG_WITH_QUOTED_VALUE = re.compile(r"--[\w.-]+(?:=|\s+)(?:" + QUOTED + r")")
NEXT_FLAG = re.compile(r"\s+(?=--[a-z])")
NAME_AND_VALUE = re.compile(r"(--[\w.-]+)(=|\s+)(.*)", re.DOTALL)


def words_of_item(item):
    """Words of the command line for one item: a flag with its value, or several of them in a row."""
    item = item.strip()
    flags = [item] if FLAG_WITH_QUOTED_VALUE.fullmatch(item) else NEXT_FLAG.split(item)
    return [word for flag in flags if flag for word in words_of_flag(flag)]


def words_of_flag(flag):
    """The name and the value of a flag; what follows the name is one value, whatever is in it."""
    match = NAME_AND_VALUE.fullmatch(flag)
    if match is None:
        return [flag]
    name, separator, value = match.groups()
    if re.fullmatch(QUOTED, value):
        value = value[1:-1]
    return [name + "=" + value] if separator == "=" else [name, value]


def word_for_systemd(word):
    """A word as systemd's division of a variable into words takes it."""
    escaped = re.sub(r"([\\\"'])", r"\\\1", word)
    return escaped if re.fullmatch(r"\S+", escaped) else '"' + escaped + '"'


def environment_value(items):
    """The value of a variable in an environment file, to stand between double quotes.

    systemd takes backslashes and quotes out twice: when it reads the file, and when it divides the
    variable into words. So they are escaped twice.
    """
    words = [word_for_systemd(word) for item in items for word in words_of_item(str(item))]
    return re.sub(r"([\\\"])", r"\\\1", " ".join(words))


class FilterModule:
    """The filters of this role."""

    def filters(self):
        """Names and functions."""
        return {"libvirt_nova_exporter_environment": environment_value}
