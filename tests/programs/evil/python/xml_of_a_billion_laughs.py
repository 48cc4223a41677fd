# Entities that double thirty-nine times. They are not expanded.
# with: memory_bytes=134217728
# gives: 26
import xml.dom.minidom

LAUGHS = "".join(f'<!ENTITY l{n} "&l{n - 1};&l{n - 1};">' for n in range(1, 40))


def evil(canary):
    text = f'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY l0 "ha">{LAUGHS}]><x>&l39;</x>'
    return len(xml.dom.minidom.parseString(text).toxml())
