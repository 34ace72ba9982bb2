"""Reads a page from standard input with the parser of Prometheus' Python client, and prints its families as JSON.

Use: parse_exposition.py text|openmetrics < PAGE

The parsers are strict: what they do not accept ends this program with 1, and their reason as the last line of standard
error. Values are texts, as JSON has neither NaN nor infinities.
"""

import json
import re
import sys

from prometheus_client import parser
from prometheus_client.openmetrics import parser as openmetrics_parser

PARSERS = {
    "text": parser.text_string_to_metric_families,
    "openmetrics": openmetrics_parser.text_string_to_metric_families,
}


def counters_without_suffix(page):
    """Names of the page's counters that do not end in _total, to whose samples the text parser adds that."""
    names = re.findall(r"^# TYPE (\S+) counter$", page, re.MULTILINE)
    return {name for name in names if not name.endswith("_total")}


def read_families(kind, page):
    renamed = counters_without_suffix(page) if kind == "text" else set()
    for family in PARSERS[kind](page):
        yield {
            "name": family.name,
            "type": family.type,
            "unit": family.unit,
            "help": family.documentation,
            "samples": [
                {
                    "name": sample.name.removesuffix("_total") if family.name in renamed else sample.name,
                    "labels": sample.labels,
                    "value": repr(float(sample.value)),
                }
                for sample in family.samples
            ],
        }


def main():
    page = sys.stdin.buffer.read().decode("utf-8")
    json.dump(list(read_families(sys.argv[1], page)), sys.stdout)


main()
