"""``vpc-cni addon``: the life of the managed add-on, against EKS or an add-on service (``--endpoint-url``).

Results go to standard output, notes and progress to standard error.
"""

import typer

from vpc_cni.cli import _addon_change, _addon_look, _addon_move, _addon_plan, _addon_preflight

_HELP = "The managed add-on: its versions, settings and updates, in EKS or a service of your own."

app = typer.Typer(help=_HELP, no_args_is_help=True)
app.command(name="status")(_addon_look.show_status)
app.command(name="versions")(_addon_look.show_versions)
app.command(name="schema")(_addon_look.show_schema)
app.command(name="preflight")(_addon_preflight.run_preflight)
app.command(name="plan")(_addon_plan.show_plan)
app.command(name="create")(_addon_change.create_addon)
app.command(name="update")(_addon_change.update_addon)
app.command(name="delete")(_addon_change.delete_addon)
app.command(name="rollback")(_addon_move.roll_back)
app.command(name="backup")(_addon_move.back_up)
app.command(name="restore")(_addon_move.restore)
app.command(name="adopt")(_addon_move.adopt)
app.command(name="release")(_addon_move.release)
app.command(name="history")(_addon_look.show_history)


@app.callback()
def _addon() -> None:
    """Keep the words of sub-commands, even if there were one only."""
