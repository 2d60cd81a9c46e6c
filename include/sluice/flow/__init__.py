"""The steps of a release, without Airflow: each reads what came before, asks AWS, lets the core decide, and records.

Every step can be run twice. What a step knows it keeps in each location's operations bucket (`steps/<release>/`)
or in the evidence store (`releases/<release>/`), and it returns only keys and counts. Airflow's tasks, the command
line and tests call the same functions. What is no step and both commands and DAGs do (to check the policy, to apply it,
to halt) is here too.
"""
