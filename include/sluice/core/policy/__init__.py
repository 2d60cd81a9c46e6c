"""The policy: what is approved, when it installs, where and under which gate.

base, baselines, windows, rings, gate, places    its parts, one noun a file
policy                                           the whole of it
load, environment, structure                     from YAML texts to a policy, with the place of everything
lint                                             what is unwise in a policy that is well-formed
json_schema                                      the same for editors
"""
