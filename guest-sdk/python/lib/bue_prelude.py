import time, random, uuid, logging, typing, json, datetime, re, collections, functools, itertools, urllib.parse
import base64, hashlib, csv, io, math, os, sys, enum, dataclasses, decimal, traceback, linecache, asyncio
