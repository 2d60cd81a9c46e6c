"""What Sluice adds to Airflow: thin tasks and operators on top of `sluice`.

release     the groups of steps that the DAGs of releases are made of, and those DAGs' settings
steps       the steps that wait for nothing
operators   the steps that wait for AWS; triggers: what waits in their place, without a worker
approval    a person's word, never the requester's
policy      plan, apply and report of the DAG patch_policy
halting     the tasks of the DAG patch_halt
runs        from a task to the release that it is a step of
failures    which errors another try may help against
aws         boto3's session, and connections that a process shares
schedules   what a DAG file knows of the policy; timetable: when its DAG starts
params      the form of a run by hand
deadlines   the alert of a run that is late; notifiers, notices: to whom the policy's `notify` sends
notes       the outcome in the run's note
links       from tasks to AWS's console

What is slow to import (boto3, hooks, the policy's models) is imported when a task runs, not when a DAG is parsed.
"""
