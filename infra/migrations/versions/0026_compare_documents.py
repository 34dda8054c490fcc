"""Keep a sketch of each document, by which those that say almost the same find each other."""

import sqlalchemy as sa
from alembic import op

from kowai.tenancy import APPLICATION_ROLE, locks

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None

TABLE = "document_sketch"


def upgrade() -> None:
    op.create_table(
        TABLE,
        sa.Column("document_id", sa.Uuid(), nullable=False),
        sa.Column("tenant_id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("text_hash", sa.String(length=64), nullable=False),
        sa.Column("signature", sa.LargeBinary(), nullable=False),
        sa.Column("bands", sa.ARRAY(sa.BigInteger()), nullable=False),
        sa.Column("leader_id", sa.Uuid(), nullable=True),
        sa.Column("likeness", sa.Float(), nullable=True),
        sa.ForeignKeyConstraint(["document_id"], ["document.id"], ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["leader_id"], ["document.id"], ondelete="SET NULL"),
        sa.ForeignKeyConstraint(["tenant_id"], ["tenant.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("document_id"),
    )
    op.create_index("ix_document_sketch_bands", TABLE, ["bands"], postgresql_using="gin")
    for column in ("tenant_id", "leader_id"):
        op.create_index(op.f(f"ix_{TABLE}_{column}"), TABLE, [column])
    for statement in locks(TABLE):
        op.execute(statement)
    op.execute(f"grant select, insert, update, delete on {TABLE} to {APPLICATION_ROLE}")


def downgrade() -> None:
    op.drop_table(TABLE)
