"""The steps of a release, without Airflow: each reads what came before, asks AWS, lets the core decide, and records.

Every step can be run twice. What a step knows it keeps in each location's operations bucket (`steps/<release>/`)
or in the evidence store (`releases/<release>/`), and it returns only keys and counts. Airflow's tasks, the command
line and tests call the same functions.

run            what every step needs: policy, window, release, connections, evidence
policy_check   the policy, if it is sound; no step, as the next one
apply          plans a location, and makes it so: for the commands and for the DAG patch_policy
"""
