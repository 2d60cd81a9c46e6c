"""What the lab adds to moto's IAM.

`evaluation`, on `conditions` and `patterns`, decides what policies allow, as AWS documents it; it knows nothing of moto.
"""
