"""Links from tasks to what they drive, in AWS's console."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

from airflow.sdk import BaseOperatorLink

if TYPE_CHECKING:
    from airflow.sdk import BaseOperator, Context
    from airflow.sdk.types import TaskInstanceKey

    from sluice.core.release.terms import Kind
    from sluice.flow.run import Run

CONSOLES = {"cn-": "console.amazonaws.cn", "us-gov-": "console.amazonaws-us-gov.com"}


def console(region: str, path: str) -> str:
    """A page of AWS's console."""
    host = next((host for start, host in CONSOLES.items() if region.startswith(start)), "console.aws.amazon.com")
    return f"https://{region}.{host}/{path}"


def window_page(region: str, window: str, execution: str | None) -> str:
    """A maintenance window, or one execution of it."""
    page = f"systems-manager/maintenance-windows/{quote(window)}"
    return console(region, f"{page}/history/{quote(execution)}" if execution else f"{page}/history")


def command_page(region: str, command: str) -> str:
    """A Run Command."""
    return console(region, f"systems-manager/run-command/{quote(command)}")


def images_page(region: str, release: str) -> str:
    """The images of a release."""
    return console(region, f"ec2/home?region={region}#Images:visibility=owned-by-me;search={quote(release)}")


class _Left(BaseOperatorLink):
    """A link that the task itself leaves while it works; Airflow reads it from the same XCom when the task is done."""

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:
        """The link as the task left it; empty where it has not."""
        from airflow.sdk.bases.xcom import BaseXCom

        return str(BaseXCom.get_value(key=self.xcom_key, ti_key=ti_key) or "")

    def leave(self, context: Context, page: str) -> None:
        """Show the link from now on, also while the task waits."""
        context["ti"].xcom_push(key=self.xcom_key, value=page)


class WindowLink(_Left):
    """The window's execution."""

    name = "Window execution"


class CommandLink(_Left):
    """The command behind a task of the window."""

    name = "Run Command"


class ImagesLink(_Left):
    """The images of the release."""

    name = "Images"


def show_execution(context: Context, run: Run, location: str, wave: int, kind: Kind) -> None:
    """Link to the window's execution and to a command of it, as far as they are known."""
    from sluice.aws import operations
    from sluice.flow.records import step_of

    with run.connect(location) as connection:
        bucket = operations.bucket_of(run.policy, connection)
        found = operations.read_step(connection, bucket, run.release.id, step_of(wave, kind)) or {}
    region = connection.region
    if found.get("window_id"):
        WindowLink().leave(context, window_page(region, found["window_id"], found.get("execution")))
    commands = sorted({one["command"] for one in found.get("results") or () if one.get("command")})
    if commands:
        CommandLink().leave(context, command_page(region, commands[0]))


def show_images(context: Context, run: Run, location: str, images: int) -> None:
    """Link to the images of the release, where there are any."""
    if images:
        with run.connect(location) as connection:
            ImagesLink().leave(context, images_page(connection.region, run.release.id))
