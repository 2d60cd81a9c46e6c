"""What all tests share."""

from lab.rehearsal.preload import one_loader

one_loader()  # reading AWS's models anew for each session took a fifth of the time of tests that talk to the lab
