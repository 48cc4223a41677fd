# Exits while the module is imported.
# at: import
# fails: trap: The step ended its own process with code 7; return a value instead
import os

os._exit(7)
