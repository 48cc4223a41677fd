NAME = "my own calendar"
