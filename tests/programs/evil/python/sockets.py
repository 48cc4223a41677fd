# Opens sockets of every kind to a listening port of this machine; returns those that worked.
# gives: []
import socket


def evil(canary):
    doors = {
        "raw": lambda: socket.socket(socket.AF_INET, 3).sendto(b"x", ("127.0.0.1", 0)),
        "bytes": lambda: talk(socket.create_connection(("127.0.0.1", TRAP_PORT), 1)),
        "http": lambda: __import__("urllib.request").request.urlopen("http://127.0.0.1:TRAP_PORT/").status,
        "client": lambda: client(),
        "listen": lambda: listening(),
        "datagram": lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("127.0.0.1", TRAP_PORT)),
        "unix": lambda: socket.socket(socket.AF_UNIX, socket.SOCK_STREAM).connect("/run/docker.sock"),
        "pair": lambda: socket.socketpair(),
        "descriptor": lambda: socket.socket(fileno=0).recv(1),
        "native": lambda: __import__("_socket").socket().connect(("127.0.0.1", TRAP_PORT)),
    }
    return [name for name, door in doors.items() if is_open(door)]


def talk(connection):
    connection.sendall(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
    return connection.recv(1)


def client():
    import http.client

    connection = http.client.HTTPConnection("localhost", TRAP_PORT)
    connection.request("GET", "/")
    return connection.getresponse().status


def listening():
    server = socket.socket()
    server.bind(("0.0.0.0", 0))
    server.listen()


def is_open(door):
    try:
        door()
    except Exception:
        return False
    return True
