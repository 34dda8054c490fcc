"""Keep what documents refer to."""

import sqlalchemy as sa
from alembic import op

from kowai.tenancy import APPLICATION_ROLE, locks

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "relation",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("document_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("target", sa.String(), nullable=False),
        sa.Column("path", sa.String(), nullable=True),
        sa.Column("base", sa.String(), nullable=True),
        sa.Column("start_char", sa.Integer(), nullable=False),
        sa.Column("end_char", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["document_id"], ["document.id"], ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenant.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("ix_relation_document", "relation", ["document_id"])
    op.create_index("ix_relation_base", "relation", ["tenant_id", "base"])
    for statement in locks("relation"):
        op.execute(statement)
    op.execute(f"grant select, insert, delete on relation to {APPLICATION_ROLE}")
    op.execute(f"grant usage on sequence relation_id_seq to {APPLICATION_ROLE}")


def downgrade() -> None:
    op.drop_table("relation")
