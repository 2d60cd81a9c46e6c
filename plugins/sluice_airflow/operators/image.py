"""The backup of a location: an image of each node before it is patched."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

from airflow.sdk.exceptions import AirflowSkipException

from sluice_airflow.links import ImagesLink, show_images
from sluice_airflow.operators.step import StepOperator
from sluice_airflow.triggers.image import ImageTrigger

if TYPE_CHECKING:
    from airflow.sdk import Context

    from sluice.flow.run import Run


class BackupOperator(StepOperator):
    """Ask for the images of a location's nodes, and wait for all of them. Skipped in a dry run."""

    template_fields: Sequence[str] = ("location",)
    operator_extra_links = (ImagesLink(),)

    def __init__(self, *, location: str, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.location = location

    def act(self, run: Run, context: Context) -> dict[str, Any]:
        """Ask for what is missing; wait for the rest."""
        from sluice.flow.backup import start

        cast("dict[str, Any]", context)["location"] = self.location
        if run.asked.dry_run:
            raise AirflowSkipException("a dry run: no image is made and no window opened")
        found = start(run, self.location)
        self.log.info("images of %s: %s", self.location, found)
        show_images(context, run, self.location, found.get("available", 0) + found.get("pending", 0))
        if found["state"] == "waiting":
            self.wait(ImageTrigger, run, location=self.location)
        return {"location": self.location, **found}
