# fails: bad_code: broken/syntax.py cannot be imported: SyntaxError: invalid syntax (broken/syntax.py, line 5)
# trace:   File "broken/syntax.py", line 5
# trace:     x = = 1
# trace:         ^
x = = 1
