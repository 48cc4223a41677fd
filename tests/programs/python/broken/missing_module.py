# fails: bad_code: broken/missing_module.py cannot be imported: ModuleNotFoundError: No module named 'pandas'. `pandas` is neither a file next to the step nor in the standard library of the sandbox; neighbouring files are packed with the step, packages are named with `!requires` or in requirements.txt
# trace:     import pandas
import pandas
