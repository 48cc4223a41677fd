# fails: bad_code: broken/indentation.py cannot be imported: IndentationError: expected an indented block after 'if' statement on line 2 (broken/indentation.py, line 3)
if True:
print(1)
