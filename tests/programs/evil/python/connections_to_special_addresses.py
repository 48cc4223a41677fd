# TCP connections to loopback, private and metadata addresses in many spellings, by a script that allows all names and all public
# addresses, on a worker that allows anything.
# gives: ["bad_request","denied"]
import _bue_net as net

HOSTS = """127.0.0.1 127.1 0x7f.1 0177.0.0.1 2130706433 0x7f000001 017700000001 127.0.0.1. 0 0.0.0.0 localhost LOCALHOST localhost.
a.localhost ::1 :: ::ffff:127.0.0.1 ::ffff:7f00:1 ::127.0.0.1 64:ff9b::7f00:1 2002:7f00:1:: 0:0:0:0:0:0:0:1 [::1]
169.254.169.254 0xa9fea9fe fd00:ec2::254 10.0.0.1 192.168.0.1 172.16.0.1 100.64.0.1 fe80::1 fc00::1 224.0.0.1 fe80::1%eth0
255.255.255.255 127.0.0.1%00.example.com example.com@127.0.0.1 127.0.0.1#example.com 127.0.0.1\\@example.com %6cocalhost
\uff11\uff12\uff17.0.0.1 \u2460\u2461\u2466.0.0.1 http://127.0.0.1 127.0.0.1:1""".split()


def evil(canary):
    results = set()
    for host in ["", " ", "127.0.0.1\n", *HOSTS]:
        ticket = net.connect(host, TRAP_PORT, 10)
        [(_, what, value)] = net.wait([ticket], 10)
        results.add(value[0] if what == "failed" else what)
    return sorted(results)
