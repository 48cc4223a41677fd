# fails: bad_code: broken/raises.py cannot be imported: ZeroDivisionError: division by zero
# trace:   File "broken/raises.py", line 3, in <module>
1 / 0
