# fails: bad_code: broken/exits.py cannot be imported: the step called sys.exit(2); return instead
import sys

sys.exit(2)
