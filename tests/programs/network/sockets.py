"""Ordinary uses of `socket`, `select`, `selectors`, `ssl` and asyncio streams, over TCP connections."""

import asyncio
import errno
import http.client
import select
import selectors
import socket
import ssl
from concurrent.futures import ThreadPoolExecutor


def place(at, name):
    host, port = at[name].rsplit(":", 1)
    return host, int(port)


def connect(at, name, timeout=60):
    return socket.create_connection(place(at, name), timeout=timeout)


def receive(sock, length):
    parts = []
    while length > 0 and (part := sock.recv(length)):
        parts.append(part)
        length -= len(part)
    return b"".join(parts)


def error_of(work, *args):
    try:
        return work(*args)
    except Exception as error:
        return type(error).__name__


def trusting(at):
    return ssl.create_default_context(cadata=at["ca"])


# gives: ["ping", "pong", "", "the rest"]
def bytes_are_echoed(at):
    with connect(at, "echo") as sock:
        sock.sendall(b"ping")
        first = receive(sock, 4)
        sock.send(b"po")
        sock.send(memoryview(b"ng"))
        second = receive(sock, 4)
        sock.sendall(b"the rest")
        sock.shutdown(socket.SHUT_WR)
        rest = receive(sock, 100)
        return [first.decode(), second.decode(), sock.recv(1).decode(), rest.decode()]


# gives: [3000000, true]
def much_is_echoed(at):
    sent = bytes(range(250)) * 12000
    with connect(at, "reverse") as sock:
        sock.sendall(sent)
        sock.shutdown(socket.SHUT_WR)
        received = receive(sock, len(sent) + 1)
    return [len(received), received == sent[::-1]]


# gives: [5, "hello", "line\n", "another"]
def files_and_buffers_are_filled(at):
    with connect(at, "echo") as sock:
        sock.sendall(b"hello")
        buffer = bytearray(10)
        length = sock.recv_into(buffer, 5)
        file = sock.makefile("rwb")
        file.write(b"line\nanother")
        file.flush()
        return [length, buffer[:5].decode(), file.readline().decode(), file.read(7).decode()]


# gives: ["pee", "peek"]
def received_bytes_can_be_seen_first(at):
    with connect(at, "echo") as sock:
        sock.sendall(b"peek")
        select.select([sock], [], [])
        return [sock.recv(3, socket.MSG_PEEK).decode(), receive(sock, 4).decode()]


# gives: ["TimeoutError", "timed out", "later"]
def a_timeout_leaves_the_connection_open(at):
    with connect(at, "echo") as sock:
        sock.settimeout(0.05)
        try:
            sock.recv(1)
        except TimeoutError as error:
            message = str(error)
        sock.settimeout(60)
        sock.sendall(b"later")
        return ["TimeoutError", message, receive(sock, 5).decode()]


# gives: ["BlockingIOError", true, 0, 3, "abc", "BlockingIOError"]
def a_socket_that_does_not_block_says_what_is_not_ready(at):
    sock = socket.socket()
    sock.setblocking(False)
    code = sock.connect_ex(place(at, "echo"))
    select.select([], [sock], [], 60)
    problem = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    early = error_of(sock.recv, 1)
    sent = sock.send(b"abc")
    received = b""
    while len(received) < 3:
        select.select([sock], [], [], 60)
        received += sock.recv(10)
    return [early, code == errno.EINPROGRESS, problem, sent, received.decode(), error_of(sock.recv, 1)]


# gives: [[], ["b"], ["a", "b"]]
def select_waits_for_several(at):
    a, b = connect(at, "echo"), connect(at, "echo")
    none, _, _ = select.select([a, b], [], [], 0.05)
    b.sendall(b"x")
    one, _, _ = select.select([a, b], [], [], 60)
    a.sendall(b"x")
    ready = set(one)
    while len(ready) < 2:
        ready.update(select.select([a, b], [], [], 60)[0])
    names = {a: "a", b: "b"}
    return [none, [names[sock] for sock in one], sorted(names[sock] for sock in ready)]


# gives: ["one", "two", []]
def selectors_have_the_same(at):
    with selectors.DefaultSelector() as selector:
        for name in ("one", "two"):
            sock = connect(at, "echo")
            sock.setblocking(False)
            sock.send(name.encode())
            selector.register(sock, selectors.EVENT_READ, name)
        done = {}
        while len(done) < 2:
            for key, _ in selector.select(60):
                done[key.data] = key.fileobj.recv(10).decode()
        return [*sorted(done.values()), selector.select(0.01)]


# gives: [true, true, true, -1, "EBADF"]
def a_socket_has_its_names(at):
    host, port = place(at, "echo")
    with connect(at, "echo") as sock:
        names = [sock.getpeername() == (host, port), sock.getsockname()[0] == "127.0.0.1", sock.fileno() > 0]
    try:
        sock.recv(1)
    except OSError as error:
        return [*names, sock.fileno(), errno.errorcode[error.errno]]


# gives: ["ConnectionRefusedError", true, "ENOTCONN"]
def a_closed_port_is_refused(at):
    sock = socket.socket()
    code = sock.connect_ex(place(at, "closed_tcp"))
    try:
        socket.socket().recv(1)
    except OSError as error:
        other = errno.errorcode[error.errno]
    return [error_of(connect, at, "closed_tcp"), code == errno.ECONNREFUSED, other]


def refusal(work):
    try:
        return work()
    except PermissionError as error:
        return "write `!allow tcp 127.0.0.9:80` above the step" in str(error)


# gives: [true, true, true, true]
def a_missing_rule_is_named_by_whatever_is_no_request(at):
    def send(data):
        with socket.create_connection(("127.0.0.9", 80)) as sock:
            sock.sendall(data)
            return sock.recv(1)

    async def stream():
        reader, writer = await asyncio.open_connection("127.0.0.9", 80)
        writer.write(b"\x00\x01")
        return await reader.read(1)

    # a binary protocol, one that looks like HTTP at first, one in which the server begins
    return [
        refusal(lambda: send(b"*1\r\n$4\r\nPING\r\n")),
        refusal(lambda: send(b"get key\r\n")),
        refusal(lambda: send(b"")),
        refusal(lambda: asyncio.run(stream())),
    ]


# gives: [true, true, true, true]
def a_step_is_only_a_client(at):
    def explained(work, *args):
        try:
            return work(*args)
        except OSError as error:
            return "`!allow tcp HOST:PORT`" in str(error)

    datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    return [
        explained(socket.create_server, ("127.0.0.1", 0)),
        explained(socket.socket().bind, ("127.0.0.1", 0)),
        explained(datagrams.sendto, b"x", ("127.0.0.1", 53)),
        explained(socket.socket(socket.AF_UNIX).connect, "/run/x"),
    ]


# gives: ["ping", "TLSv1.3", true, true, "echo", "localhost"]
def a_connection_is_encrypted(at):
    context = ssl.create_default_context()
    context.set_alpn_protocols(["other", "echo"])
    with context.wrap_socket(connect(at, "tls"), server_hostname="localhost") as sock:
        sock.sendall(b"ping")
        name = sock.getpeercert()["subjectAltName"][0][1]
        certificate = sock.getpeercert(True)
        return [receive(sock, 4).decode(), sock.version(), "AES" in sock.cipher()[0] or "CHACHA" in sock.cipher()[0], certificate[:1] == b"0", sock.selected_alpn_protocol(), name]


# gives: ["220 ready", "220 go", "secret"]
def a_connection_turns_to_tls(at):
    sock = connect(at, "starttls")
    file = sock.makefile("rb")
    lines = [file.readline()]
    sock.sendall(b"STARTTLS\r\n")
    lines.append(file.readline())
    secured = trusting(at).wrap_socket(sock, server_hostname="localhost")
    secured.sendall(b"secret\r\n")
    lines.append(secured.makefile("rb").readline())
    return [line.decode().strip() for line in lines]


# gives: ["SSLError", "the server sent more than it was asked for before TLS began", "SSLError"]
def bytes_before_tls_are_not_taken_for_encrypted_ones(at):
    sock = connect(at, "injecting")
    sock.recv(100)
    sock.sendall(b"STARTTLS\r\n")
    sock.recv(8)
    try:
        trusting(at).wrap_socket(sock, server_hostname="localhost")
    except ssl.SSLError as error:
        return ["SSLError", error.args[1], error_of(sock.recv, 1)]


# gives: ["ok", "ok", "SSLError", "SSLError", "ok", true, "SSLError"]
def certificates_are_verified(at):
    with open("/tmp/ca.pem", "w") as file:
        file.write(at["ca"])
    with open("/tmp/other.pem", "w") as file:
        file.write(at["other_ca"])

    def handshake(context, name="localhost"):
        context.wrap_socket(connect(at, "tls"), server_hostname=name).close()
        return "ok"

    def unverified(**options):
        context = ssl.create_default_context(**options)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return context

    unnamed = ssl.create_default_context(cadata=at["other_ca"])
    unnamed.check_hostname = False
    try:
        handshake(unverified(cadata=at["other_ca"]))
    except ssl.SSLError as error:
        explained = "certificates are always verified" in str(error)
    return [
        error_of(handshake, ssl.create_default_context(cafile="/tmp/ca.pem")),
        error_of(handshake, trusting(at)),
        error_of(handshake, ssl.create_default_context(cafile="/tmp/other.pem")),
        error_of(handshake, trusting(at), "elsewhere.example"),
        error_of(handshake, unverified()),
        explained,
        error_of(handshake, unnamed),
    ]


# gives: ["aaa", "bbb", "ccc"]
def threads_wait_together(at):
    def meet(text):
        with connect(at, "meeting") as sock:
            sock.sendall(text.encode())
            return receive(sock, 3).decode()

    with ThreadPoolExecutor(3) as pool:
        return list(pool.map(meet, ["aaa", "bbb", "ccc"]))


# gives: ["aaa", "bbb", "ccc"]
def tasks_wait_together(at):
    async def meet(text):
        reader, writer = await asyncio.open_connection(*place(at, "meeting"))
        writer.write(text.encode())
        try:
            return (await reader.readexactly(3)).decode()
        finally:
            writer.close()
            await writer.wait_closed()

    async def main():
        return await asyncio.gather(*map(meet, ["aaa", "bbb", "ccc"]))

    return asyncio.run(main())


# gives: ["line", 3000000, true]
async def a_stream_reads_and_writes(at):
    reader, writer = await asyncio.open_connection(*place(at, "echo"))
    writer.write(b"line\n")
    await writer.drain()
    line = await reader.readline()
    writer.close()
    await writer.wait_closed()
    reader, writer = await asyncio.open_connection(*place(at, "reverse"))
    sent = bytes(range(250)) * 12000
    writer.write(sent)
    await writer.drain()
    writer.write_eof()
    received = await reader.read()
    writer.close()
    return [line.decode().strip(), len(received), received == sent[::-1]]


# gives: ["ping", "localhost", "220 ready", "220 go", "secret", true]
async def streams_are_encrypted(at):
    reader, writer = await asyncio.open_connection(*place(at, "tls"), ssl=True)
    writer.write(b"ping")
    first = await reader.readexactly(4)
    peer = writer.get_extra_info("peername")[0]
    writer.close()
    reader, writer = await asyncio.open_connection(*place(at, "starttls"))
    lines = [await reader.readline()]
    writer.write(b"STARTTLS\r\n")
    lines.append(await reader.readline())
    await writer.start_tls(trusting(at), server_hostname="localhost")
    writer.write(b"secret\r\n")
    lines.append(await reader.readline())
    has_tls = writer.get_extra_info("ssl_object").version() == "TLSv1.3"
    writer.close()
    await writer.wait_closed()
    return [first.decode(), peer, *(line.decode().strip() for line in lines), has_tls]


# gives: ["TimeoutError", "ConnectionRefusedError", "SSLError", "ConnectionResetError", "later"]
async def streams_fail_as_sockets_do(at):
    reader, writer = await asyncio.open_connection(*place(at, "echo"))
    results = []
    try:
        async with asyncio.timeout(0.05):
            await reader.read(1)
    except TimeoutError:
        results.append("TimeoutError")
    for name, tls in [("closed_tcp", None), ("tls", ssl.create_default_context(cadata=at["other_ca"]))]:
        try:
            await asyncio.open_connection(*place(at, name), ssl=tls)
        except OSError as error:
            results.append(type(error).__name__)
    resetting, _ = await asyncio.open_connection(*place(at, "resetting"))
    try:
        await resetting.read()
    except OSError as error:
        results.append(type(error).__name__)
    writer.write(b"later")
    return [*results, (await reader.readexactly(5)).decode()]


class Collector(asyncio.Protocol):
    def __init__(self, done):
        self.done = done
        self.events = []

    def connection_made(self, transport):
        self.events.append("made")
        transport.write(b"abc")
        transport.write_eof()

    def data_received(self, data):
        self.events.append(data.decode())

    def eof_received(self):
        self.events.append("eof")

    def connection_lost(self, error):
        self.done.set_result([*self.events, error])


# gives: ["made", "cba", "eof", null]
async def a_protocol_is_called(at):
    loop = asyncio.get_running_loop()
    done = loop.create_future()
    await loop.create_connection(lambda: Collector(done), *place(at, "reverse"))
    return await done


# gives: "sock"
async def the_loop_uses_sockets(at):
    loop = asyncio.get_running_loop()
    with socket.socket() as sock:
        sock.setblocking(False)
        await loop.sock_connect(sock, place(at, "echo"))
        await loop.sock_sendall(sock, b"sock")
        return (await loop.sock_recv(sock, 10)).decode()


# gives: [200, "/echo"]
def http_passes_through_a_tcp_rule(at):
    import json

    client = http.client.HTTPConnection(*place(at, "http_over_tcp"))
    client.request("GET", "/echo")
    response = client.getresponse()
    return [response.status, json.loads(response.read())["path"]]


# gives: [48, true]
def open_sockets_are_limited(at):
    socks = []
    try:
        while len(socks) < 10000:
            socks.append(connect(at, "echo"))
    except OSError as error:
        return [len(socks), "`net_exchanges`" in str(error)]


# gives: 200
def a_closed_socket_makes_room(at):
    count = 0
    for _ in range(200):
        # one that is dropped is closed too
        sock = connect(at, "echo")
        count += 1
        if count % 2:
            sock.close()
    return count
