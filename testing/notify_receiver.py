"""Stands in for systemd: prints each datagram that comes to a socket, as a line of JSON, until standard input ends.

Use: python3 notify_receiver.py ADDRESS, which is a path, or a name of the abstract namespace after an "@".
"""

import json
import os
import socket
import sys
import threading

address = sys.argv[1]
receiver = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
receiver.bind("\0" + address[1:] if address.startswith("@") else address)


def receive():
    while True:
        print(json.dumps(receiver.recv(4096).decode()), flush=True)


threading.Thread(target=receive, daemon=True).start()
print(json.dumps("LISTENING"), flush=True)
sys.stdin.read()
os._exit(0)
