"""`pmstream demo`: the command; what it does stands in `demo_play`."""

from typing import Annotated

import typer

from pmstream.cli.output import Output, OutputOption


def demo(
    *,
    transfers: Annotated[int, typer.Option(min=1, help="How many transfers.")] = 2_000,
    workers: Annotated[int, typer.Option(min=1, max=6, help="Instances workers.")] = 2,
    kills: Annotated[int, typer.Option(min=0, help="Workers to kill on the way.")] = 1,
    rate: Annotated[
        int, typer.Option(min=0, help="Transfers a second; 0 is as fast as it goes.")
    ] = 250,
    seed: Annotated[int, typer.Option(help="Another one makes other transfers.")] = 1,
    bootstrap_servers: Annotated[
        str | None, typer.Option(help="An existing Kafka.", show_default="one of its own")
    ] = None,
    confirm: Annotated[
        bool,
        typer.Option("--confirm", help="Each command asks for a reply; the bank refuses some."),
    ] = False,
    output: OutputOption = Output.TABLE,
    keep: Annotated[
        bool, typer.Option("--keep", help="Keep logs, state and Kafka's data.")
    ] = False,
) -> int:
    """Watches transfers finish exactly once on a real Kafka while workers are killed.

    Example: pmstream demo --transfers 20000 --workers 3 --kills 5

    Example: pmstream demo --confirm
    """
    from pmstream.cli.demo_cast import CAREFUL, PLAIN
    from pmstream.cli.demo_play import play
    from pmstream.cli.demo_run import Plan

    cast = CAREFUL if confirm else PLAIN
    plan = Plan(transfers, workers, kills, rate, seed, cast)
    return play(plan, bootstrap_servers, output, keep=keep)
