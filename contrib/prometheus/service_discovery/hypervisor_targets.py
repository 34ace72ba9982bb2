#!/usr/bin/env python3
"""Writes Prometheus' list of targets from a list of hypervisors.

Reads standard input: what `openstack hypervisor list -f json` prints, with `--long` or without, or a
plain list with one host name in a line. Prints the JSON that both file_sd_configs and http_sd_configs
take. With --output it writes a file instead, which is never there half written, and leaves one alone
that need not change.

    openstack hypervisor list --long -f json | hypervisor_targets.py --output /etc/prometheus/libvirt_nova.json

Hypervisors without libvirt, such as those of Ironic and VMware, are left out, and so is a row that
cannot be understood; standard error says which.

Exit code: 0, or 2 with one line on standard error when no target is left; the file then stays as it
is.
"""

import argparse
import errno
import json
import os
import re
import sys
import tempfile

# A host name as RFC 1123 has it, or an IPv4 address; IPv6 addresses stand in brackets.
HOST = re.compile(r"(?:[A-Za-z0-9_](?:[A-Za-z0-9_.-]*[A-Za-z0-9_])?|\[[0-9A-Fa-f:.]+\])")
NAME_COLUMN = "Hypervisor Hostname"
ADDRESS_COLUMN = "Host IP"
TYPE_COLUMN = "Hypervisor Type"
# What Nova calls the hypervisors that it drives through libvirt, in lower case.
LIBVIRT_TYPES = {"qemu", "kvm", "lxc", "xen", "parallels", "vz"}
# One whose first part is no short name.
ADDRESS = re.compile(r"[0-9.]+|.*:.*")


def quoted(text):
    """A text of the list in quotes, short and without what a terminal would obey."""
    return json.dumps(text[:60])


class ListError(Exception):
    """The list is not what it should be."""


def short_name(name):
    """The host's name without its domain; an address stays whole."""
    return name if ADDRESS.fullmatch(name) else name.split(".")[0]


def host_of_row(row, by_address):
    """Address and labels of a row that `openstack hypervisor list -f json` prints; throws for what is none."""
    if not isinstance(row, dict):
        raise ListError('A row is no hypervisor: use "openstack hypervisor list -f json"')
    name = row.get(NAME_COLUMN)
    if not isinstance(name, str):
        raise ListError(f'A row has no "{NAME_COLUMN}": use "openstack hypervisor list -f json"')
    address = row.get(ADDRESS_COLUMN) if by_address else name
    if not isinstance(address, str):
        raise ListError(f'The row of {quoted(name)} has no "{ADDRESS_COLUMN}": add --long')
    labels = {"hypervisor": short_name(name)}
    if isinstance(row.get("State"), str):
        labels["__meta_openstack_hypervisor_state"] = row["State"].lower()
    return address, labels


def hosts_of_openstack(rows, by_address, remarks):
    """
    Addresses and labels of the rows that are hypervisors with libvirt. What is wrong with a row costs that row alone, and
    becomes a remark.
    """
    if not isinstance(rows, list):
        raise ListError('This JSON is no list of hypervisors: use "openstack hypervisor list -f json"')
    hosts = []
    others = {}
    for row in rows:
        kind = row.get(TYPE_COLUMN) if isinstance(row, dict) else None
        if isinstance(kind, str) and kind.lower() not in LIBVIRT_TYPES:
            others[kind] = others.get(kind, 0) + 1
            continue
        # A hypervisor that is down stays a target: that its exporter does not answer is worth an alert.
        try:
            hosts.append(host_of_row(row, by_address))
        except ListError as error:
            remarks.append(str(error))
    for kind, number in sorted(others.items()):
        remarks.append(f"{number} of the type {quoted(kind)} left out: no libvirt runs there")
    return hosts


def hosts_of_lines(text):
    """Host names of a plain list; empty lines and what follows a # do not count."""
    names = (line.split("#")[0].strip() for line in text.splitlines())
    return [(name, {"hypervisor": short_name(name)}) for name in names if name]


def target(address, port):
    """Address and port; throws for what cannot be an address."""
    host = f"[{address}]" if ":" in address and not address.startswith("[") else address
    if not HOST.fullmatch(host):
        raise ListError(f"{quoted(address)} is no host name or address: correct the list")
    return f"{host}:{port}"


def target_groups(text, port, by_address, remarks):
    """
    The groups of targets, one for each hypervisor, sorted by target. What is left out becomes a remark; throws when nothing
    is left.
    """
    stripped = text.lstrip()
    if stripped.startswith(("[", "{")):
        try:
            rows = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise ListError(f"The list is cut or no JSON: {error}") from None
        hosts = hosts_of_openstack(rows, by_address, remarks)
    else:
        hosts = hosts_of_lines(text)
    groups = {}
    for address, labels in hosts:
        try:
            name = target(address, port)
        except ListError as error:
            remarks.append(str(error))
            continue
        if groups.setdefault(name, labels)["hypervisor"] != labels["hypervisor"]:
            remarks.append(f"{quoted(name)} stands in the list with two names: the first one counts")
    if not groups:
        raise ListError(remarks[0] if remarks else "The list is empty: is the account that asks an administrator?")
    return [{"targets": [name], "labels": groups[name]} for name in sorted(groups)]


def write_file(path, text):
    """Puts the text into a file at once, unless it is there already."""
    content = text.encode()
    try:
        with open(path, "rb") as file:
            if file.read() == content:
                return
    except FileNotFoundError:
        pass
    folder = os.path.dirname(os.path.abspath(path))
    descriptor, temporary = tempfile.mkstemp(dir=folder, prefix=".targets-")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        # Prometheus is another user.
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def port_number(text):
    """The number of a port, for the command line."""
    if not text.isascii() or not text.isdigit() or not 1 <= int(text) <= 65535:
        raise argparse.ArgumentTypeError(f"{quoted(text)} is no port: give a number from 1 to 65535")
    return int(text)


def main():
    parser = argparse.ArgumentParser(description="Makes Prometheus' list of targets from a list of hypervisors.")
    parser.add_argument("--port", type=port_number, default=9100, help="port of the exporters (default: 9100)")
    parser.add_argument("--by-address", action="store_true", help='use the column "Host IP" (needs --long)')
    parser.add_argument("--output", metavar="FILE", help="file to write instead of standard output")
    arguments = parser.parse_args()
    remarks = []
    try:
        # Python has nothing for a stream that was closed before it started.
        given = "" if sys.stdin is None else sys.stdin.read()
        groups = target_groups(given, arguments.port, arguments.by_address, remarks)
        for remark in remarks:
            print(remark, file=sys.stderr)
        text = json.dumps(groups, indent=2) + "\n"
        if arguments.output is None:
            if sys.stdout is None:
                raise OSError(errno.EBADF, "it is closed")
            sys.stdout.write(text)
            sys.stdout.flush()
        else:
            write_file(arguments.output, text)
    except ListError as error:
        print(error, file=sys.stderr)
        return 2
    except UnicodeDecodeError:
        print("The list is not UTF-8: set LC_ALL=C.UTF-8", file=sys.stderr)
        return 2
    except OSError as error:
        where = "to standard output" if arguments.output is None else f'"{arguments.output}"'
        print(f"Cannot write {where}: {error.strerror}", file=sys.stderr)
        # What is left of it shall not be tried again as Python ends.
        sys.stdout = None
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
