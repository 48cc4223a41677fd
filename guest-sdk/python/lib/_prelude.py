"""Imports what steps commonly use, once for all images."""

import base64, collections, csv, dataclasses, datetime, decimal, enum, functools, gzip, hashlib, html, io, itertools
import json, linecache, logging, math, os, pathlib, re, string, sys, textwrap, time, traceback, typing, urllib.parse
import uuid, zlib

# the host gives each line the time at which it arrives
sys.stdout.reconfigure(line_buffering=True)
sys.stderr.reconfigure(line_buffering=True)
