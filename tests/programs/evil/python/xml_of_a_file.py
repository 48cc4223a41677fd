# An entity that refers to a file of this machine. Its content appears nowhere.
# gives: …
import xml.dom.minidom


def evil(canary):
    text = f'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY f SYSTEM "file://{canary}">]><x>&f;</x>'
    try:
        return xml.dom.minidom.parseString(text).toxml()
    except Exception as error:
        return type(error).__name__
