"""With this folder on PYTHONPATH a Python process, and every one it starts, reaches no address but this machine's own."""
import socket

_connect, _connect_ex, _getaddrinfo = socket.socket.connect, socket.socket.connect_ex, socket.getaddrinfo


def _check(host):
    host = host.decode() if isinstance(host, bytes) else host
    if host and not (host == "localhost" or host == "::1" or host.startswith("127.")):
        raise OSError(f"the notebooks run offline: a connection to {host!r} was refused")


def connect(self, address):
    if self.family in (socket.AF_INET, socket.AF_INET6): _check(address[0])
    return _connect(self, address)


def connect_ex(self, address):
    if self.family in (socket.AF_INET, socket.AF_INET6): _check(address[0])
    return _connect_ex(self, address)


def getaddrinfo(host, *args, **kwargs):
    _check(host)
    return _getaddrinfo(host, *args, **kwargs)


socket.socket.connect, socket.socket.connect_ex, socket.getaddrinfo = connect, connect_ex, getaddrinfo
