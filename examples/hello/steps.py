"""The second step of the hello pipeline."""


def shout(text):
    print(f"shouting: {text}")
    return text.upper() + "!"
