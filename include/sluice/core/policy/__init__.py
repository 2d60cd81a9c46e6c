"""The policy: what is approved, when it installs, where and under which gate.

Its parts are models, one noun a file, and `policy` is the whole of them. Around them stands what becomes of a policy:
it is read (`load`), judged (`lint`), made into AWS's objects (`desired`) and compared with what is there (`plan`).
"""
