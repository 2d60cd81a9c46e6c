"""What Sluice adds to Airflow: thin tasks and operators on top of `sluice`.

policy      plan, apply and report of the DAG patch_policy
approval    a person's word, never the requester's
aws         boto3's session, by an Airflow connection or boto3's own chain
notices     to whom the policy's `notify` sends
schedules   when what has no maintenance window runs

What is slow to import (boto3, hooks, the policy's models) is imported when a task runs, not when a DAG is parsed.
"""
