"""The rehearsal: a policy's weeks of patching in the lab, through the real DAGs, in minutes.

    agenda          which DAG is due when, from the policy's calendar
    ground          buckets and the policy's objects, before anything runs
    lab_api         the lab over its admin API
    airflow_api     an Airflow over its REST API
    airflow_parts   an Airflow of one's own: its parts as processes, on this machine alone
    processes       those processes, and their end
    rest            that Airflow as the conductor asks it
    preload         what tasks have in common, imported once
    in_process      Airflow's task execution without its servers, for tests
    conductor       triggers what is due, answers what is asked, and moves the clock only while everybody waits
    record          what happened, from the lab's journal: first and last days, and the invariant
    table           what became of each release, as people read it
    stage           the policy as the lab can have it; lab, Airflow and ground together
    play            a rehearsal from its first day to its verdict
    fortnight       what the demo's fortnight is to show, and whether it did
    drills          five things that go wrong on purpose
    command         `make demo` and `python -m lab rehearse`
    pictures        the documents' pictures of Airflow's UI

Of the product it knows the core alone (the policy and its calendar): it triggers DAGs by name and reads what AWS,
as the lab has it, says of them.
"""
