# fails: bad_code: broken/missing_module.py cannot be imported: ModuleNotFoundError: No module named 'pandas'. `pandas` is no file next to the step and not in the standard library of the sandbox; neighbouring files travel with the step, packages are named with `!requires` or in requirements.txt
# trace:     import pandas
import pandas
