"""The kernel's tables."""

from alembic import op
from alembic.operations import Operations

from shared.kernel.schema import install_kernel

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """The kernel's tables."""
    install_kernel(Operations(op.get_context()), "gates")
