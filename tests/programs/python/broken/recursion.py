# fails: bad_code: broken/recursion.py cannot be imported: RecursionError: maximum recursion depth exceeded
# trace: [Previous line repeated
def again():
    again()


again()
