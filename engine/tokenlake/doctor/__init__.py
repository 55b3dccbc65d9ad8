"""The check of a lake, of the logs it is made from, and of the versions at work; see `examination.examine`."""
