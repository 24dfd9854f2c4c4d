"""`omoi projection`: how far the read models are, and building them anew."""

import typer

app = typer.Typer(no_args_is_help=True, help="How far the read models are, and building them anew.")
