"""Tests of the client, against the real program: BUE_BIN names it.

BUE_BIN=target/debug/bue python3 -m unittest     # in clients/python
"""
