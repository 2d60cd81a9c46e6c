"""What Sluice registers with Airflow. Everything else is imported by the DAGs."""

from airflow.plugins_manager import AirflowPlugin

from sluice_airflow import notes
from sluice_airflow.timetable import WindowTimetable


class SluicePlugin(AirflowPlugin):
    """The timetable of windows, and what writes the outcome into a run's note."""

    name = "sluice"
    timetables = [WindowTimetable]  # noqa: RUF012  # as Airflow reads it
    listeners = [notes]  # noqa: RUF012  # as Airflow reads it
