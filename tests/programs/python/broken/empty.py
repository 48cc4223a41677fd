# fails: bad_code: function `step` not found in broken/empty.py; it defines no function
