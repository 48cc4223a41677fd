"""What steps commonly import, imported once for all images."""

import base64, collections, csv, dataclasses, datetime, decimal, enum, functools, gzip, hashlib, html, io, itertools
import json, linecache, logging, math, os, pathlib, re, string, sys, textwrap, time, traceback, typing, urllib.parse
import uuid, zlib

# the host gives each line its time when it comes
sys.stdout.reconfigure(line_buffering=True)
sys.stderr.reconfigure(line_buffering=True)
