"""Find what was deleted since a moment, without reading all certificates."""

from alembic import op

revision = "0044"
down_revision = "0043"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_deletion_certificate_newest", "deletion_certificate", ["tenant_id", "created_at"])


def downgrade() -> None:
    op.drop_index("ix_deletion_certificate_newest", "deletion_certificate")
