# Reads, writes and deletes values of the bucket that the script does not allow, by names in many spellings, and asks the host
# directly. `allowed/*` and `secret/canar` are allowed.
# gives: ["bad_request","denied","limit"]
import _bue_net as net

NAMES = """secret/canary secret allowed allowed/../secret/canary allowed/./../secret/canary allowed//secret/canary /secret/canary
./secret/canary allowed/..%2fsecret/canary/.. %2e%2e/secret/canary ..%2Fsecret%2Fcanary secret%2Fcanary secret/canary/ secret/canary%00
SECRET/CANARY secret/canar%79 secret\\canary allowed\\..\\secret\\canary \uff0e\uff0e/secret/canary secret/canary?x allowed?/../secret/canary
secret/canary#allowed/x * secret/* blobs/00 \ufeffallowed/x \u202eallowed/x""".split()
ODD = ["", " ", ".", "..", "/", "\0", "allowed/\0", "allowed/\n", "\0part/00000000-0000-0000-0000-000000000001/0", " allowed/x",
       "allowed/" + "x" * 1017, "a" * 100_000]


def outcome(ticket):
    [(_, what, value)] = net.wait([ticket], 10)
    net.close(ticket)
    return value[0] if what == "failed" else what


def evil(canary):
    results = set()
    for name in [*NAMES, *ODD]:
        results.add(outcome(net.open_value(name, 1000)))
        results.add(outcome(net.store_value(name, None)))
        results.add(outcome(net.delete_value(name)))
    return sorted(results)
