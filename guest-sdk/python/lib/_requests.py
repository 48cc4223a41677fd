"""Patches of `requests`: what it does for each request and can be done with fewer calls, with the same results."""

import collections.abc


def patch_compat(module):
    """Patch `requests.compat`, from which its modules import `urlparse`: they parse each URL a dozen times."""
    urlparse, parsed = module.urlparse, {}

    def parse_once(url, scheme="", allow_fragments=True):
        if type(url) is not str or scheme != "" or allow_fragments is not True:
            return urlparse(url, scheme, allow_fragments)
        result = parsed.get(url)
        if result is None:
            if len(parsed) >= 64:
                parsed.clear()
            result = parsed[url] = urlparse(url)
        return result

    module.urlparse = parse_once


def patch_structures(module):
    """Patch `requests.structures`: a `CaseInsensitiveDict` stores pairs of a key and its value."""
    cls = module.CaseInsensitiveDict
    update, items, get, contains = cls.update, cls.items, cls.get, cls.__contains__

    class Items(collections.abc.ItemsView):
        def __iter__(self):
            return iter(self._mapping._store.values())

    def update_pairs(self, other=(), /, **named):
        if type(self) is not cls or named:
            return update(self, other, **named)
        if type(other) is cls:
            self._store.update(other._store)
        elif type(other) is dict:
            for key, value in other.items():
                self._store[key.lower()] = (key, value)
        else:
            update(self, other)

    def items_of_pairs(self):
        return Items(self) if type(self) is cls else items(self)

    def get_from_store(self, key, default=None):
        if type(self) is not cls:
            return get(self, key, default)
        pair = self._store.get(key.lower())
        return default if pair is None else pair[1]

    def is_in_store(self, key):
        return key.lower() in self._store if type(self) is cls else contains(self, key)

    def copy(self):
        copied = cls()
        copied._store.update(self._store)
        return copied

    cls.update, cls.items, cls.get, cls.__contains__, cls.copy = update_pairs, items_of_pairs, get_from_store, is_in_store, copy
